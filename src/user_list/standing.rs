//! What Box says of one user, asked by its id.

/// Whether a user belongs to the enterprise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserStanding {
    /// The user belongs to the enterprise, whatever its status.
    Managed,
    /// Box does not know the user any more, or it belongs to another enterprise or to none.
    Gone,
    /// Box does not say.
    Unknown,
}
