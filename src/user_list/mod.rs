//! user_list — the users of an enterprise in memory, from Box's pages to the complete list.
//! Invariant: knows neither Box nor Kubernetes. A finished list is immutable, sorted by id, without duplicates.

mod list;
mod page;
mod standing;
mod tracking_codes;
mod user;

#[cfg(test)]
mod tests;

pub use list::{UserList, UserListBuilder};
pub use page::UserPage;
pub use standing::UserStanding;
pub use tracking_codes::{CodesByName, TrackingCodes};
pub use user::{User, UserRole, UserStatus, compare_ids};
