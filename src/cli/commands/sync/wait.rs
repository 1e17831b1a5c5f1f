//! Waits until requests have finished: a terminal is redrawn, a pipe gets one line for each new state.

use std::time::Duration;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::progress::{self, Throughput};
use crate::{
    api::{BoxConnection, RequestPhase, UserSyncRequest},
    cli::{
        exit_code::{CliError, ExitStatus},
        io::Io,
        kube_context::KubeContext,
        output::{
            format::format_duration,
            sink::TerminalControl,
            styled::{StyledText, TextStyle, Tty},
        },
    },
    kube_client::KubeError,
};

const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// A running operator picks up a request within seconds.
const PICKUP_TIMEOUT: SignedDuration = SignedDuration::from_secs(10);

/// A request that is waited for.
pub(crate) struct PendingRequest {
    connection: String,
    /// What its lines begin with: the connection, with its namespace if requests of several are waited for.
    label: String,
    /// The cluster, in the namespace of the request.
    kube: KubeContext,
    request: UserSyncRequest,
    /// Users of the last list, as an estimate.
    expected_users: Option<i64>,
    outcome: Option<RequestOutcome>,
    throughput: Option<Throughput>,
    /// The line that was printed last.
    last_printed: StyledText,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RequestOutcome {
    /// With its message.
    Succeeded(String),
    Failed(String),
    Deleted,
}

impl PendingRequest {
    pub(crate) fn new(connection: &BoxConnection, request: UserSyncRequest, kube: &KubeContext) -> Self {
        Self {
            connection: connection.name_any(),
            label: connection.name_any(),
            kube: kube.in_namespace_of(connection),
            request,
            expected_users: connection.status.as_ref().and_then(|s| s.users).map(|u| u.total),
            outcome: None,
            throughput: None,
            last_printed: StyledText::new(),
        }
    }

    /// Reads the request. Temporary errors are ignored.
    async fn refresh(&mut self, now: Timestamp) -> Result<(), CliError> {
        let kube = &self.kube;
        if self.outcome.is_some() {
            return Ok(());
        }
        let api = kube.client.api::<UserSyncRequest>(&kube.namespace);
        match kube.client.call(api.get(&self.request.name_any())).await {
            Ok(request) if request.uid() == self.request.uid() => self.request = request,
            Ok(_) | Err(KubeError::NotFound) => self.outcome = Some(RequestOutcome::Deleted),
            Err(
                KubeError::Conflict
                | KubeError::UnknownKind
                | KubeError::Unreachable(_)
                | KubeError::TooManyRequests { .. }
                | KubeError::Unavailable { .. }
                | KubeError::Rejected { code: 500.., .. },
            ) => {}
            Err(
                other @ (KubeError::Unauthenticated(_)
                | KubeError::Forbidden(_)
                | KubeError::Refused(_)
                | KubeError::Rejected { .. }
                | KubeError::Unreadable(_)),
            ) => {
                return Err(kube.explain_error("get", "usersyncrequests")(other));
            }
        }
        let Some(status) = &self.request.status else { return Ok(()) };
        if let Some(progress) = status.progress {
            self.throughput.get_or_insert(Throughput { start: now, users: progress.users });
        }
        match status.phase {
            RequestPhase::Pending | RequestPhase::Running | RequestPhase::Other(_) => {}
            RequestPhase::Succeeded => {
                let next = read_next_sync_time(kube, &self.connection).await;
                self.outcome = Some(RequestOutcome::Succeeded(progress::success_message(status, next, now)));
            }
            RequestPhase::Failed => self.outcome = Some(RequestOutcome::Failed(progress::failure_message(status))),
        }
        Ok(())
    }

    fn is_unobserved(&self) -> bool {
        self.request.status.as_ref().and_then(|s| s.observed_generation).unwrap_or(-1) < 0
    }

    /// The current line of the request.
    fn state_line(&self, io: &Io<'_>, start: Timestamp) -> StyledText {
        let now = io.clock.now();
        let elapsed = start.duration_until(now);
        let (style, text) = match &self.outcome {
            Some(RequestOutcome::Succeeded(text)) => (TextStyle::Green, text.clone()),
            Some(RequestOutcome::Failed(text)) => (TextStyle::Red, text.clone()),
            Some(RequestOutcome::Deleted) => {
                let text = "the request was deleted. Create another with kubectl boxsync sync";
                (TextStyle::Red, text.to_owned())
            }
            None if self.is_unobserved() && elapsed >= PICKUP_TIMEOUT => {
                let seconds = PICKUP_TIMEOUT.as_secs();
                let text = format!("no operator has picked it up within {seconds} s: see kubectl boxsync status");
                (TextStyle::Yellow, text)
            }
            None => match io.stdout_tty {
                Tty::Interactive => {
                    let (expected, throughput) = (self.expected_users, self.throughput.as_ref());
                    let text = progress::progress_line(&self.request, expected, throughput, now, elapsed);
                    (TextStyle::Plain, text)
                }
                Tty::Piped => (TextStyle::Plain, progress::request_state(&self.request)),
            },
        };
        StyledText::styled(TextStyle::Plain, &format!("{}: ", self.label)).with(style, &text)
    }
}

/// Waits until all have finished or the timeout is over, and prints the progress.
pub(crate) async fn wait_for_all(
    mut pending: Vec<PendingRequest>,
    timeout: Duration,
    io: &mut Io<'_>,
) -> Result<ExitStatus, CliError> {
    if let [first, rest @ ..] = pending.as_mut_slice()
        && rest.iter().any(|one| one.kube.namespace != first.kube.namespace)
    {
        for one in &mut pending {
            one.label = format!("{}/{}", one.kube.namespace, one.connection);
        }
    }
    let start = io.clock.now();
    let limit = SignedDuration::try_from(timeout).unwrap_or(SignedDuration::MAX);
    let mut drawn_lines = 0;
    loop {
        let now = io.clock.now();
        let refreshes = pending.iter_mut().map(|one| one.refresh(now));
        join_all(refreshes).await.into_iter().collect::<Result<Vec<()>, CliError>>()?;
        drawn_lines = print_progress(&mut pending, io, start, drawn_lines)?;
        let unfinished: Vec<&PendingRequest> = pending.iter().filter(|one| one.outcome.is_none()).collect();
        if unfinished.is_empty() {
            return Ok(exit_status(&pending));
        }
        if start.duration_until(now) >= limit {
            return Err(timeout_error(&unfinished, limit));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Prints what is new, and returns the number of lines to redraw.
fn print_progress(
    pending: &mut [PendingRequest],
    io: &mut Io<'_>,
    start: Timestamp,
    drawn_lines: usize,
) -> Result<usize, CliError> {
    let mut live = StyledText::new();
    let mut lines = 0;
    if io.stdout_tty == Tty::Interactive && drawn_lines > 0 {
        io.out.control(TerminalControl::ClearLines(drawn_lines))?;
    }
    for request in pending {
        let state = request.state_line(io, start);
        match (io.stdout_tty, &request.outcome) {
            (Tty::Interactive, None) => {
                live.append(state).newline();
                lines += 1;
            }
            (Tty::Interactive, Some(_)) | (Tty::Piped, _) => {
                if request.last_printed != state {
                    io.out.print(&state)?;
                    writeln!(io.out)?;
                    request.last_printed = state;
                }
            }
        }
    }
    if lines > 0 {
        io.out.control(TerminalControl::NoWrap)?;
        io.out.print(&live)?;
        io.out.control(TerminalControl::Wrap)?;
    }
    io.out.flush()?;
    Ok(lines)
}

fn exit_status(pending: &[PendingRequest]) -> ExitStatus {
    let succeeded = pending.iter().all(|one| matches!(one.outcome, Some(RequestOutcome::Succeeded(_))));
    if succeeded { ExitStatus::Success } else { ExitStatus::Failure }
}

/// The error for requests that have not finished in time.
fn timeout_error(unfinished: &[&PendingRequest], limit: SignedDuration) -> CliError {
    let mut namespaces: Vec<&str> = unfinished.iter().map(|one| one.kube.namespace.as_str()).collect();
    namespaces.dedup();
    let (scope, namespace) = match namespaces.as_slice() {
        [namespace] => (format!("-n {namespace}"), format!("namespace {namespace}")),
        several => ("-A".to_owned(), format!("the namespaces {}", several.join(", "))),
    };
    let names: Vec<String> = unfinished.iter().map(|one| one.request.name_any()).collect();
    let names = names.join(" ");
    if unfinished.iter().all(|one| one.is_unobserved()) {
        return CliError::Message(
            ExitStatus::NoOperator,
            format!(
                "no operator picked up {names} within {}. Check that one runs and watches {namespace}: kubectl boxsync status.",
                format_duration(limit)
            ),
        );
    }
    CliError::Message(
        ExitStatus::TimedOut,
        format!(
            "{names} did not finish within {} and is still running. See kubectl get usersyncrequests {scope}{}.",
            format_duration(limit),
            // kubectl takes no names with -A.
            if namespaces.len() == 1 { format!(" {names}") } else { String::new() },
        ),
    )
}

/// The time of the next automatic sync, if it can be read.
async fn read_next_sync_time(kube: &KubeContext, connection: &str) -> Option<Timestamp> {
    let api = kube.client.api::<BoxConnection>(&kube.namespace);
    let read = kube.client.call(api.get(connection)).await.ok()?;
    Some(read.status?.next_sync_time?.0)
}
