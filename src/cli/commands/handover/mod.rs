//! `handover`: prints an email to the Box admin.

pub(crate) mod email;

use clap::Args;
use jiff::Timestamp;

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
            fresh_until: status.stale_time.map(|time| time.0),
        }),
    };
    if !email.has_action() {
        // On stderr, so that stdout can be sent as it is.
        let found = match email.failure {
            Some((reason, _)) => format!("{}, which a Box admin cannot fix", reason.summary()),
            None => "no problem is known".to_owned(),
        };
        writeln!(io.err, "note: {found}. The email describes the initial setup.")?;
    }
    write!(io.out, "{}", email.render_email())?;
    Ok(ExitStatus::Success)
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
