//! A watch: the history since a resource version, as sent to one client.

use crate::{
    fault::ClientId,
    projection::Projection,
    resource::Resource,
    selectors::Selector,
    server::{Server, ServerState},
    status_error::StatusError,
};
use bytes::Bytes;
use futures::{Stream, stream};
use http_body::Frame;
use serde_json::{Value, json};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::{sync::watch, time::Instant};
use tower::BoxError;

/// The interval of a real server.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);
/// A real server chooses a random timeout between 30 and 60 minutes.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1800);

/// The parameters of a watch.
pub(crate) struct WatchOptions {
    pub(crate) index: usize,
    pub(crate) selection: Selector,
    pub(crate) projection: Projection,
    /// None: starts with the existing objects.
    pub(crate) resource_version: Option<u64>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) bookmarks: bool,
}

pub(crate) struct Watch {
    resource: Arc<Resource>,
    options: WatchOptions,
    caller: ClientId,
    /// The last processed version.
    last_version: u64,
    initial_events: VecDeque<Bytes>,
    break_count: u64,
    deadline: Instant,
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
    /// Until a change, or until this time.
    Wait(Option<Instant>),
}

impl Watch {
    pub(crate) fn new(state: &ServerState, caller: ClientId, options: WatchOptions) -> Self {
        let now = Instant::now();
        let resource = state.store.resource(options.index);
        let (last_version, initial_events) = match options.resource_version {
            Some(version) => (version, VecDeque::new()),
            None => {
                let existing = state.store.list(options.index, &options.selection);
                let lines = existing.map(|object| event_line("ADDED", &options.projection.render_object(object)));
                (state.store.history.version(), lines.collect())
            }
        };
        Self {
            deadline: now + options.timeout.unwrap_or(DEFAULT_TIMEOUT),
            next_bookmark: now + BOOKMARK_INTERVAL,
            break_count: state.watches.break_count,
            phase: Phase::Open,
            resource,
            options,
            caller,
            last_version,
            initial_events,
        }
    }

    /// The body of the response.
    pub(crate) fn into_frames(self, server: Arc<Server>) -> impl Stream<Item = Result<Frame<Bytes>, BoxError>> + Send {
        let changes = server.subscribe();
        stream::unfold(Some((self, server, changes)), |running| async {
            let (mut watch, server, mut changes) = running?;
            loop {
                changes.borrow_and_update();
                let step = watch.step(&server.lock_state(), Instant::now());
                match step {
                    Step::Send(line) => return Some((Ok(Frame::data(line)), Some((watch, server, changes)))),
                    Step::Break => return Some((Err("watch interrupted: connection reset".into()), None)),
                    Step::End => return None,
                    Step::Wait(until) => wait_for_change(&mut changes, until).await,
                }
            }
        })
    }

    fn step(&mut self, state: &ServerState, now: Instant) -> Step {
        if self.phase == Phase::Closing {
            return Step::End;
        }
        if self.break_count != state.watches.break_count {
            return Step::Break;
        }
        // A frozen watch and a killed client's watch send nothing, not even their end.
        if state.watches.frozen || state.faults.is_killed(&self.caller) {
            return Step::Wait(None);
        }
        if let Some(line) = self.initial_events.pop_front() {
            return Step::Send(line);
        }
        let mut wake = self.deadline;
        loop {
            match state.store.history.change_after(self.last_version) {
                Err(expired) => return self.close(event_line("ERROR", &expired.to_status())),
                Ok(None) => break,
                Ok(Some((_, change))) if change.at + state.watches.lag > now => {
                    wake = wake.min(change.at + state.watches.lag);
                    break;
                }
                Ok(Some((version, change))) => {
                    self.last_version = version;
                    let same_resource = change.resource == self.options.index;
                    let event =
                        change.watch_event(version, |object| same_resource && self.options.selection.matches(object));
                    if let Some((kind, object)) = event {
                        return Step::Send(event_line(kind, &self.options.projection.render_object(&object)));
                    }
                }
            }
        }
        if self.options.bookmarks {
            if now >= self.deadline {
                // So that the next watch skips changes that did not match this one.
                return self.close(self.bookmark_line());
            }
            if now >= self.next_bookmark {
                self.next_bookmark = now + BOOKMARK_INTERVAL;
                return Step::Send(self.bookmark_line());
            }
            wake = wake.min(self.next_bookmark);
        }
        match now >= self.deadline {
            true => Step::End,
            false => Step::Wait(Some(wake)),
        }
    }

    fn close(&mut self, last: Bytes) -> Step {
        self.phase = Phase::Closing;
        Step::Send(last)
    }

    fn bookmark_line(&self) -> Bytes {
        event_line("BOOKMARK", &self.options.projection.render_bookmark(&self.resource, self.last_version))
    }
}

async fn wait_for_change(changes: &mut watch::Receiver<()>, until: Option<Instant>) {
    let timer = async {
        match until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = changes.changed() => {}
        () = timer => {}
    }
}

fn event_line(kind: &str, object: &Value) -> Bytes {
    format!("{}\n", json!({"type": kind, "object": object})).into()
}

/// The requested version of a watch; none to start with the existing objects.
pub(crate) fn parse_resource_version(asked: Option<&str>) -> Result<Option<u64>, StatusError> {
    match asked {
        None | Some("0") => Ok(None),
        Some(text) => match text.parse() {
            Ok(version) => Ok(Some(version)),
            Err(_) => Err(StatusError::new(500, "", format!("resourceVersion: Invalid value: {text:?}"))),
        },
    }
}
