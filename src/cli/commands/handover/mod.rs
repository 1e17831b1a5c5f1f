//! `handover`: prints an email to the Box admin.

pub(crate) mod email;
pub(crate) mod removals_letter;

use clap::Args;
use jiff::Timestamp;
use kube::ResourceExt;

use super::held_removals::{HeldNames, HeldRemovals, read_held_removals, status_hold};
use crate::{
    api::{BoxConnection, BoxEnterprise, ConditionStatus, ConditionsExt, Reason},
    auth::{FailureContext, KeyDecryption},
    cli::{
        exit_code::{CliError, ExitStatus},
        io::Io,
        kube_context::KubeContext,
    },
};
use email::{AdminEmail, PublishedList};
use removals_letter::RemovalsLetter;

#[derive(Args, Debug)]
pub(crate) struct HandoverArgs {
    /// The connection
    pub(crate) name: String,
}

pub(crate) async fn run(args: &HandoverArgs, kube: &KubeContext, io: &mut Io<'_>) -> Result<ExitStatus, CliError> {
    let connection = kube.get_connection(&args.name).await?;
    let Some((method, _)) = connection.spec.auth.selected_method() else {
        return Err(CliError::error(format!(
            "BoxConnection {} must set exactly one sign-in method in spec.auth.",
            args.name
        )));
    };
    let status = connection.status.clone().unwrap_or_default();
    let client_id = match status.app.map(|app| app.client_id).filter(|id| !id.is_empty()) {
        Some(known) => Some(known),
        None => client_id_from_secret(kube, &connection).await,
    };
    let id = connection.spec.enterprise_id.clone();
    let unnamed = BoxEnterprise { id: id.clone(), name: String::new() };
    let email = AdminEmail {
        connection: &format!("{} -n {}", args.name, kube.namespace),
        method,
        user_id: connection.spec.auth.user_id(),
        client_id: client_id.as_deref(),
        enterprise: status.enterprise.filter(|found| found.id == id).unwrap_or(unnamed),
        failure: root_failure(&connection),
        published_list: status.last_sync.map(|last| PublishedList {
            time: last.completion_time.0,
            users: status.users.map_or(0, |users| users.total),
            fresh_until: status.stale_time.map(|time| time.0).filter(|time| *time > io.clock.now()),
        }),
    };
    // On stderr, so that stdout can be sent as it is.
    if email.has_action() {
        if status.held.is_some() {
            writeln!(
                io.err,
                "note: removals are held, too. Once this is fixed, run handover again for the letter about them."
            )?;
        }
        write!(io.out, "{}", email.render_email())?;
        return Ok(ExitStatus::Success);
    }
    if let Some(held) = held_removals_or_count(&connection, kube, io).await? {
        let users = held.users()?;
        let letter = RemovalsLetter {
            email: &email,
            hold: &held.hold,
            users: users.as_deref(),
            older: matches!(held.names, HeldNames::Other(_)),
        };
        write!(io.out, "{}", letter.render_letter())?;
        let (name, namespace) = (&args.name, &kube.namespace);
        writeln!(
            io.err,
            "note: if they left, approve with kubectl boxsync approve {name} -n {namespace}; all of them: kubectl boxsync users {name} -n {namespace} --held."
        )?;
        return Ok(ExitStatus::Success);
    }
    let found = match email.failure {
        Some((reason, _)) => format!("{}, which a Box admin cannot fix", reason.summary()),
        None => "no problem in Box is known".to_owned(),
    };
    writeln!(io.err, "note: {found}. The email describes the initial setup.")?;
    write!(io.out, "{}", email.render_email())?;
    Ok(ExitStatus::Success)
}

/// The held removals; without names if the caller may not read lists.
async fn held_removals_or_count(
    connection: &BoxConnection,
    kube: &KubeContext,
    io: &mut Io<'_>,
) -> Result<Option<HeldRemovals>, CliError> {
    let error = match read_held_removals(connection.clone(), &connection.name_any(), &[], kube).await {
        Err(CliError::Message(_, error)) => error,
        read => return read.map(|(_, held)| held),
    };
    writeln!(io.err, "note: the letter names nobody, because the list cannot be read: {error}")?;
    let hold = status_hold(connection).cloned();
    Ok(hold.map(|hold| HeldRemovals { hold, names: HeldNames::Unknown("cannot be read") }))
}

/// The failure of a connection and since when; a failed sign-in takes precedence over a failed sync.
fn root_failure(connection: &BoxConnection) -> Option<(Reason, Timestamp)> {
    let conditions = &connection.status.as_ref()?.conditions;
    let broken =
        ["Connected", "Synced"].into_iter().find(|kind| conditions.has_status(kind, ConditionStatus::False))?;
    Some((conditions.reason(broken)?, conditions.find_condition(broken)?.last_transition_time.0))
}

/// The client id of the app from the Secret, if the caller may read it. The id itself is not secret.
async fn client_id_from_secret(kube: &KubeContext, connection: &BoxConnection) -> Option<String> {
    let (method, name) = connection.spec.auth.selected_method()?;
    let secret = kube.get_secret(name).await.ok()?;
    let context = FailureContext::for_connection(connection);
    let read = KeyDecryption::default().parse_secret(&context, method, secret).await;
    read.ok().map(|credentials| credentials.client_id().to_owned())
}
