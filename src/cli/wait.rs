//! Waiting for the end of requests: on a terminal a line each that is drawn again, in a pipe a line for each new state.

use std::time::Duration;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::{
    desk::{Desk, Seat},
    exit::{Exit, Stop},
    progress::{self, Pace},
    site::Site,
    trouble::{self, Right},
    words::length,
};
use crate::{
    api::{BoxConnection, Phase, UserSyncRequest},
    cluster::Trouble,
};

const PAUSE: Duration = Duration::from_secs(1);
/// An operator that runs answers within seconds.
const UNSEEN: SignedDuration = SignedDuration::from_secs(10);

const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// A request whose end is waited for.
pub(super) struct Awaited {
    connection: String,
    request: UserSyncRequest,
    /// Users of the last list: about so many there will be.
    about: Option<i64>,
    end: Option<End>,
    pace: Option<Pace>,
    /// What was printed last.
    told: String,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// With what is to be said of it.
    Succeeded(String),
    Failed(String),
    /// Somebody deleted it.
    Gone,
}

impl Awaited {
    pub(super) fn new(connection: &BoxConnection, request: UserSyncRequest) -> Self {
        Self {
            connection: connection.name_any(),
            request,
            about: connection.status.as_ref().and_then(|s| s.users).map(|u| u.total),
            end: None,
            pace: None,
            told: String::new(),
        }
    }

    /// Looks at the request. Trouble that passes is waited out.
    async fn look(&mut self, site: &Site, now: Timestamp) -> Result<(), Stop> {
        if self.end.is_some() {
            return Ok(());
        }
        let api = site.cluster.api::<UserSyncRequest>(&site.namespace);
        match site.cluster.call(api.get(&self.request.name_any())).await {
            Ok(request) if request.uid() == self.request.uid() => self.request = request,
            Ok(_) | Err(Trouble::NotFound) => self.end = Some(End::Gone),
            Err(
                Trouble::Conflict
                | Trouble::NotServed
                | Trouble::Unreachable(_)
                | Trouble::Refused { code: 429 | 500.., .. },
            ) => {}
            Err(other @ (Trouble::Forbidden(_) | Trouble::Refused { .. })) => {
                return Err(trouble::told(&other, &Right::to("get", "usersyncrequests", &site.namespace)));
            }
        }
        let Some(status) = &self.request.status else { return Ok(()) };
        if let Some(progress) = status.progress {
            self.pace.get_or_insert(Pace { start: now, users: progress.users });
        }
        match status.phase {
            Phase::Pending | Phase::Running => {}
            Phase::Succeeded => {
                let next = next_sync(site, &self.connection).await;
                self.end = Some(End::Succeeded(progress::succeeded(status, next, now)));
            }
            Phase::Failed => self.end = Some(End::Failed(progress::failed(status))),
        }
        Ok(())
    }

    fn unseen(&self) -> bool {
        self.request.status.as_ref().and_then(|s| s.observed_generation).unwrap_or(-1) < 0
    }

    /// What there is to say at this moment.
    fn state(&self, desk: &Desk<'_>, start: Timestamp) -> String {
        let now = desk.clock.now();
        let elapsed = start.duration_until(now);
        let told = match &self.end {
            Some(End::Succeeded(told)) => desk.ink.green(told),
            Some(End::Failed(told)) => desk.ink.red(told),
            Some(End::Gone) => {
                desk.ink.red("the request is gone: somebody deleted it. Create another with kubectl boxsync sync")
            }
            None if self.unseen() && elapsed >= UNSEEN => desk.ink.yellow(&format!(
                "no operator has picked it up within {} s: see kubectl boxsync status",
                UNSEEN.as_secs()
            )),
            None => match desk.reader {
                Seat::Person => progress::live(&self.request, self.about, self.pace.as_ref(), now, elapsed),
                Seat::Program => progress::state(&self.request),
            },
        };
        format!("{}: {told}", self.connection)
    }
}

/// Waits until all have ended or the time is over, and tells how they go.
pub(super) async fn all(
    mut awaited: Vec<Awaited>,
    timeout: Duration,
    site: &Site,
    desk: &mut Desk<'_>,
) -> Result<Exit, Stop> {
    let start = desk.clock.now();
    let limit = SignedDuration::try_from(timeout).unwrap_or(SignedDuration::MAX);
    let mut drawn = 0;
    loop {
        let now = desk.clock.now();
        let looks = awaited.iter_mut().map(|one| one.look(site, now));
        join_all(looks).await.into_iter().collect::<Result<Vec<()>, Stop>>()?;
        drawn = tell(&mut awaited, desk, start, drawn)?;
        let open: Vec<&Awaited> = awaited.iter().filter(|one| one.end.is_none()).collect();
        if open.is_empty() {
            return Ok(exit(&awaited));
        }
        if start.duration_until(now) >= limit {
            return Err(over(&open, &site.namespace, limit));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Prints what is new, and says how many lines can be drawn over.
fn tell(awaited: &mut [Awaited], desk: &mut Desk<'_>, start: Timestamp, drawn: usize) -> Result<usize, Stop> {
    let mut live = String::new();
    let mut lines = 0;
    if desk.reader == Seat::Person && drawn > 0 {
        write!(desk.out, "\x1b[{drawn}A\r\x1b[J")?;
    }
    for one in awaited {
        let state = one.state(desk, start);
        match (desk.reader, &one.end) {
            (Seat::Person, None) => {
                live.push_str(&format!("{state}\n"));
                lines += 1;
            }
            (Seat::Person, Some(_)) | (Seat::Program, _) => {
                if one.told != state {
                    writeln!(desk.out, "{state}")?;
                    one.told = state;
                }
            }
        }
    }
    if lines > 0 {
        // A line that wrapped could not be drawn over.
        write!(desk.out, "{NO_WRAP}{live}{WRAP}")?;
    }
    desk.out.flush()?;
    Ok(lines)
}

fn exit(awaited: &[Awaited]) -> Exit {
    let succeeded = awaited.iter().all(|one| matches!(one.end, Some(End::Succeeded(_))));
    if succeeded { Exit::Fine } else { Exit::NotSo }
}

/// The time is over before these requests are.
fn over(open: &[&Awaited], namespace: &str, limit: SignedDuration) -> Stop {
    let names: Vec<String> = open.iter().map(|one| one.request.name_any()).collect();
    let names = names.join(" ");
    if open.iter().all(|one| one.unseen()) {
        return Stop::Told(
            Exit::NoOperator,
            format!(
                "no operator picked up {names} within {}. Check that one runs and watches namespace {namespace}: kubectl boxsync status.",
                length(limit)
            ),
        );
    }
    Stop::Told(
        Exit::TimedOut,
        format!(
            "{names} did not end within {}, and goes on. See kubectl get usersyncrequests -n {namespace} {names}.",
            length(limit)
        ),
    )
}

/// When the connection is synced without being asked; nobody has to know.
async fn next_sync(site: &Site, connection: &str) -> Option<Timestamp> {
    let api = site.cluster.api::<BoxConnection>(&site.namespace);
    let read = site.cluster.call(api.get(connection)).await.ok()?;
    Some(read.status?.next_sync_time?.0)
}
