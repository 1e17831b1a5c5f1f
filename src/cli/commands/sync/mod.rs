//! `sync`: creates requests and optionally waits until they have finished.

pub(crate) mod expect_logins;
pub(crate) mod progress;
pub(crate) mod wait;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use clap::{ArgGroup, Args};
use kube::{ResourceExt, api::ObjectMeta};

use crate::{
    api::{
        BoxConnection, ConnectionHealth, ConnectionRef, Evidence, Judgement, Reason, UserSyncRequest,
        UserSyncRequestSpec, judge,
    },
    cli::{
        exit_code::{CliError, ExitStatus},
        io::Io,
        kube_context::{KubeContext, NamespaceScope, post_params},
        output::format::parse_duration,
    },
    text::clean_line,
};
use wait::PendingRequest;

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("which").required(true).multiple(true).args(["names", "selector", "all", "all_namespaces"]))]
pub(crate) struct SyncArgs {
    /// The connections to sync
    #[arg(value_name = "NAME", conflicts_with_all = ["selector", "all", "all_namespaces"])]
    pub(crate) names: Vec<String>,
    /// All connections with these labels that are not suspended
    #[arg(short = 'l', long, value_name = "LABELS", conflicts_with = "all")]
    pub(crate) selector: Option<String>,
    /// All connections of the namespace that are not suspended
    #[arg(long)]
    pub(crate) all: bool,
    /// The same in all namespaces
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// Wait until the requests have finished, and show progress
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
    /// Wait until these logins are in the list, syncing again until the timeout: a file with one login per line and #
    /// for comments, or - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) expect_file: Option<PathBuf>,
}

const DEADLINE_SECONDS: i32 = 3600;
const TTL_SECONDS: i32 = 86_400;

pub(crate) async fn run(args: &SyncArgs, kube: &KubeContext, io: &mut Io<'_>) -> Result<ExitStatus, CliError> {
    let connections = select_connections(args, kube, io).await?;
    if let Some(file) = &args.expect_file {
        let [connection] = connections.as_slice() else {
            return Err(CliError::usage("--expect-file works with exactly one connection."));
        };
        let text = String::from_utf8(io.read_file(file, "a file with one login per line")?);
        let text = text.map_err(|_| CliError::usage(format!("{} is not UTF-8 text.", file.display())))?;
        let expected = expect_logins::parse_logins(&text);
        return expect_logins::run(&expected, connection, args.timeout, &kube.in_namespace_of(connection), io).await;
    }
    let connections = without_refused(connections, io)?;
    let mut pending = Vec::new();
    for connection in &connections {
        let kube = &kube.in_namespace_of(connection);
        let request = create_request(kube, connection, None).await?;
        match args.all_namespaces {
            _ if args.wait => {}
            true => writeln!(io.out, "{}/{} created", kube.namespace, request.name_any())?,
            false => writeln!(io.out, "usersyncrequest.boxsync.dev/{} created", request.name_any())?,
        }
        pending.push(PendingRequest::new(connection, request, kube));
    }
    if args.wait { wait::wait_for_all(pending, args.timeout, io).await } else { Ok(ExitStatus::Success) }
}

/// The named connections, or the selected ones that are not suspended.
async fn select_connections(
    args: &SyncArgs,
    kube: &KubeContext,
    io: &mut Io<'_>,
) -> Result<Vec<BoxConnection>, CliError> {
    if !args.names.is_empty() {
        let mut named = BTreeMap::new();
        for name in &args.names {
            named.insert(name, kube.get_connection(name).await?);
        }
        return Ok(named.into_values().collect());
    }
    let scope = if args.all_namespaces { NamespaceScope::All } else { NamespaceScope::One };
    let found = kube.list_connections(scope, args.selector.as_deref()).await?;
    let (suspended, active): (Vec<_>, Vec<_>) = found.into_iter().partition(|c| c.spec.suspend);
    for connection in suspended {
        writeln!(io.err, "{} is suspended, skipped.", connection.name_any())?;
    }
    match (active.as_slice(), scope) {
        ([], NamespaceScope::One) => Err(CliError::error(format!(
            "no matching connection in namespace {}. See kubectl boxsync status --all.",
            kube.namespace
        ))),
        ([], NamespaceScope::All) => {
            Err(CliError::error("no matching connection in any namespace. See kubectl boxsync status -A --all."))
        }
        _ => Ok(active),
    }
}

/// The connections whose operator takes up a request and fetches their list. Of the others it is said why not.
fn without_refused(connections: Vec<BoxConnection>, io: &mut Io<'_>) -> Result<Vec<BoxConnection>, CliError> {
    let evidence = Evidence::only_status(io.clock.now());
    let mut watched = Vec::new();
    let mut refused = Vec::new();
    for connection in connections {
        let Judgement { health, reason, problem, action, command, .. } = judge(&connection, &evidence);
        if health == ConnectionHealth::Suspended {
            let (name, resume) = (connection.name_any(), command.unwrap_or_default());
            refused.push(format!(
                "{name} is suspended: no sync runs, and no request was created. Resume it first: {resume}"
            ));
        } else if health == ConnectionHealth::NeedsAction && reason == Reason::WaitingForOperator.as_str() {
            refused.push(format!("{}: {problem} {action} No request was created.", connection.name_any()));
        } else {
            watched.push(connection);
        }
    }
    match (watched.is_empty(), refused.first()) {
        (true, Some(first)) => Err(CliError::Message(ExitStatus::Failure, first.clone())),
        _ => {
            for line in refused {
                writeln!(io.err, "{}", clean_line(&line))?;
            }
            Ok(watched)
        }
    }
}

/// Creates a request; with the digest of held removals, it approves them.
pub(crate) async fn create_request(
    kube: &KubeContext,
    connection: &BoxConnection,
    approved_digest: Option<&str>,
) -> Result<UserSyncRequest, CliError> {
    let name = connection.name_any();
    let request = UserSyncRequest {
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            namespace: Some(kube.namespace.clone()),
            // A request restored from a backup would sync once more.
            labels: Some([("velero.io/exclude-from-backup".to_owned(), "true".to_owned())].into()),
            ..ObjectMeta::default()
        },
        spec: UserSyncRequestSpec {
            connection_ref: ConnectionRef { name: name.clone() },
            approve_removals: approved_digest.map(str::to_owned),
            active_deadline_seconds: DEADLINE_SECONDS,
            ttl_seconds_after_finished: Some(TTL_SECONDS),
        },
        status: None,
    };
    let api = kube.client.api::<UserSyncRequest>(&kube.namespace);
    let created = kube.client.call(api.create(&post_params(), &request)).await;
    created.map_err(kube.explain_error("create", "usersyncrequests"))
}

/// The delay before the next sync.
pub(crate) fn retry_delay(attempts: u32) -> Duration {
    const INITIAL: Duration = Duration::from_secs(15);
    const MAX: Duration = Duration::from_secs(120);
    INITIAL.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1))).min(MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_delays_double_up_to_two_minutes() {
        assert_eq!([1, 2, 3, 4, 5, 99].map(|tries| retry_delay(tries).as_secs()), [15, 30, 60, 120, 120, 120]);
    }
}
