//! Ownership of rosters: which ones the operator may replace. Pure.

use kube::ResourceExt;

use crate::api::{ROSTER_FORMAT_VERSION, UserRoster};

/// To whom a roster belongs that the operator may replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// The connection owns it.
    Owned,
    /// It has no owner and lists the users of the connection's enterprise, for example after a restore from a backup.
    Adoptable,
}

/// Why the operator must not replace a roster of the connection's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnershipConflict {
    #[error("it belongs to another owner")]
    OtherOwner,
    #[error("it lists the users of enterprise {0}")]
    OtherEnterprise(String),
    #[error("it is in format {0}, which this version cannot read")]
    NewerFormat(i64),
}

/// Checks whether a connection may replace a roster.
///
/// # Errors
/// The roster belongs to another owner or enterprise, or to a newer version of the operator.
pub fn check_ownership(
    roster: &UserRoster,
    owner_uid: &str,
    enterprise_id: &str,
) -> Result<Ownership, OwnershipConflict> {
    if roster.spec.format > ROSTER_FORMAT_VERSION {
        return Err(OwnershipConflict::NewerFormat(roster.spec.format));
    }
    let owners = roster.owner_references();
    if owners.iter().any(|o| o.uid == owner_uid) {
        return Ok(Ownership::Owned);
    }
    if !owners.is_empty() {
        return Err(OwnershipConflict::OtherOwner);
    }
    if roster.spec.enterprise_id != enterprise_id {
        return Err(OwnershipConflict::OtherEnterprise(roster.spec.enterprise_id.clone()));
    }
    Ok(Ownership::Adoptable)
}
