//! The held removals of a connection, and who they are. The connection's status decides: the operator approves the digest
//! that it names, and no other; the published list only names the users.

use crate::{
    api::{BoxConnection, RemovalHold, SliceState},
    cli::{errors, exit_code::CliError, kube_context::KubeContext, output::format::format_number},
    kube_client::KubeError,
    roster::{self, PublishedUser, ReadError, RosterSnapshot},
};

use super::changes::change_log::parse_record;

/// Users who are missing from Box and whose removal is held.
pub(crate) struct HeldRemovals {
    /// From the connection.
    pub(crate) hold: RemovalHold,
    pub(crate) names: HeldNames,
}

/// Whether the published list names the users.
pub(crate) enum HeldNames {
    Listed(Box<RosterSnapshot>),
    /// It names those of another revision than the connection's.
    Other(Box<RosterSnapshot>),
    /// Why it names nobody: a clause about "the published list".
    Unknown(&'static str),
}

impl HeldRemovals {
    /// The users as far as the list names them.
    pub(crate) fn users(&self) -> Result<Option<Vec<PublishedUser<'_>>>, CliError> {
        let (HeldNames::Listed(snapshot) | HeldNames::Other(snapshot)) = &self.names else { return Ok(None) };
        snapshot.record_lines(SliceState::Held).map(parse_record).collect::<Result<_, CliError>>().map(Some)
    }

    /// What a reader of the names has to know of them; `None` if they are exactly the held ones.
    pub(crate) fn caveat(&self) -> Option<String> {
        match &self.names {
            HeldNames::Listed(_) => None,
            HeldNames::Other(snapshot) => {
                let listed = snapshot.roster.spec.held.as_ref().map_or(0, |held| held.removals);
                Some(format!(
                    "The published list (revision {}) is older: it names {} held users, the operator holds {} now, and some of them can be others.",
                    snapshot.roster.spec.revision,
                    format_number(listed),
                    format_number(self.hold.removals)
                ))
            }
            HeldNames::Unknown(why) => Some(format!(
                "The published list {why}, so only the number of removals is known. Every user missing from Box's list will be missing from the new one."
            )),
        }
    }
}

/// The hold in the status.
pub(crate) fn status_hold(connection: &BoxConnection) -> Option<&RemovalHold> {
    connection.status.as_ref()?.held.as_ref()
}

/// The held removals of a connection, or none. `more`: states that are read too if they can be.
///
/// # Errors
/// The list exists and must not or cannot be asked for.
pub(crate) async fn read_held_removals(
    connection: BoxConnection,
    name: &str,
    more: &[SliceState],
    kube: &KubeContext,
) -> Result<(BoxConnection, Option<HeldRemovals>), CliError> {
    let Some(hold) = status_hold(&connection).cloned() else { return Ok((connection, None)) };
    let names = match read_names(name, more, kube).await? {
        Ok(snapshot) => snapshot,
        Err(why) => return Ok((connection, Some(HeldRemovals { hold, names: HeldNames::Unknown(why) }))),
    };
    let listed = |hold: &RemovalHold| names.roster.spec.held.as_ref().is_some_and(|held| held.digest == hold.digest);
    if listed(&hold) {
        return Ok((connection, Some(HeldRemovals { hold, names: HeldNames::Listed(Box::new(names)) })));
    }
    // A sync may have published another list since the connection was read.
    let connection = kube.get_connection(name).await?;
    let Some(hold) = status_hold(&connection).cloned() else { return Ok((connection, None)) };
    let names = match (listed(&hold), &names.roster.spec.held) {
        (true, _) => HeldNames::Listed(Box::new(names)),
        (false, Some(_)) => HeldNames::Other(Box::new(names)),
        (false, None) => HeldNames::Unknown("does not name them"),
    };
    Ok((connection, Some(HeldRemovals { hold, names })))
}

/// The list with the names, or why there are none.
async fn read_names(
    name: &str,
    more: &[SliceState],
    kube: &KubeContext,
) -> Result<Result<RosterSnapshot, &'static str>, CliError> {
    let store = kube.roster_store(name);
    let wanted: Vec<SliceState> = more.iter().copied().chain([SliceState::Held]).collect();
    let mut read = roster::read_snapshot(&store, &wanted, None).await;
    if matches!(read, Err(ReadError::Incomplete { .. })) && !more.is_empty() {
        // The slices of the held users may be there.
        read = roster::read_snapshot(&store, &[SliceState::Held], None).await;
    }
    match read {
        Ok(snapshot) => Ok(Ok(snapshot)),
        Err(ReadError::NoRoster) => Ok(Err("was deleted")),
        Err(ReadError::Incomplete { .. } | ReadError::Kube(KubeError::Unreadable(_))) => Ok(Err("is damaged")),
        Err(ReadError::NewerFormat { .. }) => Ok(Err("is in a format that this plugin cannot read")),
        Err(error @ ReadError::Kube(_)) => Err(errors::list_read_error(&error, name, &kube.namespace)),
    }
}
