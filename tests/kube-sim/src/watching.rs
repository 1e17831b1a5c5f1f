//! A watch: the history from a version on, as one client sees it.

use crate::{
    fault::Caller,
    refusal::Refusal,
    resource::Resource,
    selection::Selection,
    server::{Shared, State},
    shape::Shape,
};
use bytes::Bytes;
use futures::{Stream, stream};
use http_body::Frame;
use serde_json::{Value, json};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::{sync::watch, time::Instant};
use tower::BoxError;

/// As often as a real server sends them.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// What a real server chooses at random between 30 and 60 minutes.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1800);

/// What a watch is asked for.
pub(crate) struct Wanted {
    pub(crate) index: usize,
    pub(crate) selection: Selection,
    pub(crate) shape: Shape,
    /// None: begin with what is there.
    pub(crate) since: Option<u64>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) bookmarks: bool,
}

pub(crate) struct Watch {
    resource: Arc<Resource>,
    wanted: Wanted,
    caller: Caller,
    /// The version up to which everything was looked at.
    seen: u64,
    opening: VecDeque<Bytes>,
    breaks: u64,
    ends: Instant,
    next_bookmark: Instant,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Closing,
}

enum Step {
    Send(Bytes),
    End,
    Break,
    /// Until something happens, or until this time.
    Wait(Option<Instant>),
}

impl Watch {
    pub(crate) fn open(state: &State, caller: Caller, wanted: Wanted) -> Self {
        let now = Instant::now();
        let resource = state.store.resource(wanted.index);
        let (seen, opening) = match wanted.since {
            Some(version) => (version, VecDeque::new()),
            None => {
                let there = state.store.list(wanted.index, &wanted.selection);
                let lines = there.map(|object| line("ADDED", &wanted.shape.object(object)));
                (state.store.history.version(), lines.collect())
            }
        };
        Self {
            ends: now + wanted.timeout.unwrap_or(DEFAULT_TIMEOUT),
            next_bookmark: now + BOOKMARK_EVERY,
            breaks: state.watches.breaks,
            phase: Phase::Open,
            resource,
            wanted,
            caller,
            seen,
            opening,
        }
    }

    /// The body of the response.
    pub(crate) fn frames(self, shared: Arc<Shared>) -> impl Stream<Item = Result<Frame<Bytes>, BoxError>> + Send {
        let bell = shared.listen();
        stream::unfold(Some((self, shared, bell)), |running| async {
            let (mut watch, shared, mut bell) = running?;
            loop {
                bell.borrow_and_update();
                let step = watch.step(&shared.state(), Instant::now());
                match step {
                    Step::Send(line) => return Some((Ok(Frame::data(line)), Some((watch, shared, bell)))),
                    Step::Break => return Some((Err("the watch was broken: connection reset".into()), None)),
                    Step::End => return None,
                    Step::Wait(until) => wait(&mut bell, until).await,
                }
            }
        })
    }

    fn step(&mut self, state: &State, now: Instant) -> Step {
        if self.phase == Phase::Closing {
            return Step::End;
        }
        if self.breaks != state.watches.breaks {
            return Step::Break;
        }
        // A frozen watch and a dead client's are silent: not even their end comes through.
        if state.watches.frozen || state.faults.is_dead(&self.caller) {
            return Step::Wait(None);
        }
        if let Some(line) = self.opening.pop_front() {
            return Step::Send(line);
        }
        let mut wake = self.ends;
        loop {
            match state.store.history.after(self.seen) {
                Err(expired) => return self.close(line("ERROR", &expired.body())),
                Ok(None) => break,
                Ok(Some((_, change))) if change.at + state.watches.lag > now => {
                    wake = wake.min(change.at + state.watches.lag);
                    break;
                }
                Ok(Some((version, change))) => {
                    self.seen = version;
                    let ours = change.resource == self.wanted.index;
                    let seen = change.seen_by(version, |object| ours && self.wanted.selection.admits(object));
                    if let Some((kind, object)) = seen {
                        return Step::Send(line(kind, &self.wanted.shape.object(&object)));
                    }
                }
            }
        }
        if self.wanted.bookmarks {
            if now >= self.ends {
                // So that the next watch need not look again at what was not for this one.
                return self.close(self.bookmark());
            }
            if now >= self.next_bookmark {
                self.next_bookmark = now + BOOKMARK_EVERY;
                return Step::Send(self.bookmark());
            }
            wake = wake.min(self.next_bookmark);
        }
        match now >= self.ends {
            true => Step::End,
            false => Step::Wait(Some(wake)),
        }
    }

    fn close(&mut self, last: Bytes) -> Step {
        self.phase = Phase::Closing;
        Step::Send(last)
    }

    fn bookmark(&self) -> Bytes {
        line("BOOKMARK", &self.wanted.shape.bookmark(&self.resource, self.seen))
    }
}

async fn wait(bell: &mut watch::Receiver<()>, until: Option<Instant>) {
    let timer = async {
        match until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = bell.changed() => {}
        () = timer => {}
    }
}

fn line(kind: &str, object: &Value) -> Bytes {
    format!("{}\n", json!({"type": kind, "object": object})).into()
}

/// The version that a watch asks for; none for "what is there now".
pub(crate) fn since(asked: Option<&str>) -> Result<Option<u64>, Refusal> {
    match asked {
        None | Some("0") => Ok(None),
        Some(text) => match text.parse() {
            Ok(version) => Ok(Some(version)),
            Err(_) => Err(Refusal::bad_request(format!("resourceVersion: Invalid value: {text:?}"))),
        },
    }
}
