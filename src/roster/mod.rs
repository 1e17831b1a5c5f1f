//! roster — the list of an enterprise's users.
//!
//! Invariants:
//! * Nothing here knows Box, and what is pure does no IO.
//! * A list, once finished, never changes: sorted by id, every id once.

mod list;

pub use list::{Builder, Entry, List, Role, Status, by_id};
