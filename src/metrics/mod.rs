//! metrics — what the operator counts and measures, and the page on which Prometheus reads it.
//!
//! | file | holds |
//! | --- | --- |
//! | `label` | the labels, and every word that each may hold |
//! | `book` | how a metric is defined: for the page and for the documentation in one go |
//! | `connections` | the gauges of each connection, read from the watch's store when the page is asked for |
//!
//! Invariants:
//! * A label's value is one of the words of a list in the code, or the namespace and name of a BoxConnection; so the
//!   number of series is known, and no text of an error, user, token or secret can become one.
//! * Nothing here does IO, logs or decides; whoever sees something happen says so.

mod book;
mod connections;
mod label;

use std::sync::Arc;

use prometheus_client::{
    encoding::text::encode,
    metrics::{gauge::Gauge, info::Info},
};

use book::{Book, Kind};
pub use book::{Counts, Row, Times};
pub use connections::All;
use connections::{Connections, Known};
use label::{CODE, ENDPOINT, ERROR, KIND, REASON, RESULT, TRIGGER, WATCHED};

/// What the page is, for whoever serves it.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether each connection has series of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerConnection {
    Shown,
    Dropped,
}

/// All metrics of a process, made once.
pub struct Metrics {
    /// 1 while this process does the work.
    pub leader: Gauge,
    /// 1 while the whole operator is paused.
    pub paused: Gauge,
    pub syncs: Counts<2>,
    pub sync_duration: Times<1>,
    pub requests: Counts<2>,
    pub box_calls: Counts<2>,
    pub box_call_duration: Times<1>,
    pub box_told_wait: Times<1>,
    pub reconcile_duration: Times<1>,
    pub reconcile_errors: Counts<2>,
    pub watch_errors: Counts<1>,
    known: Known,
    book: Book,
}

/// While it is held, the connections of a store have their series.
#[must_use]
pub struct Following<'a>(&'a Metrics);

impl Metrics {
    pub fn new(version: &'static str, per_connection: PerConnection) -> Self {
        let mut book = Book::default();
        let known = Known::default();
        let build = Info::new([("version", version)]);
        book.write("build", Kind::Info(&["version"]), "The version of the operator; always 1", build);
        let mut level = |name, help| {
            let gauge = Gauge::default();
            book.write(name, Kind::Gauge, help, gauge.clone());
            gauge
        };
        let leader = level("leader", "1 in the replica that does the work, 0 in one that stands by");
        let paused = level("paused", "1 while the operator starts no work, since it was told to pause");
        match per_connection {
            PerConnection::Shown => book.collect(connections::GAUGES, Connections(known.clone())),
            PerConnection::Dropped => {}
        }
        Self {
            leader,
            paused,
            syncs: book.counts(
                "syncs",
                "Syncs that ended, by what started them and how they ended: Synced, or why nothing new was published",
                [TRIGGER, REASON],
            ),
            sync_duration: book.times(
                "sync_duration",
                "How long a sync took, from its first call to Box until its list was published or it failed",
                [REASON],
                &[0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0],
            ),
            requests: book.counts("requests", "UserSyncRequests that ended, by how and why", [RESULT, REASON]),
            box_calls: book.counts("box_calls", "Calls to Box that ended, every try counted", [ENDPOINT, CODE]),
            box_call_duration: book.times(
                "box_call_duration",
                "How long a call to Box took, from connecting to the last byte",
                [ENDPOINT],
                &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0],
            ),
            box_told_wait: book.times(
                "box_rate_limit_wait",
                "For how long Box asked to be left alone (Retry-After), as often as it asked",
                [ENDPOINT],
                &[1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0],
            ),
            reconcile_duration: book.times(
                "reconcile_duration",
                "How long a reconcile took; that of a BoxConnection includes its sync",
                [KIND],
                &[0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0],
            ),
            reconcile_errors: book.counts("reconcile_errors", "Reconciles that failed, by why", [KIND, ERROR]),
            watch_errors: book.counts("watch_errors", "Watches that were interrupted, and began again", [WATCHED]),
            known,
            book,
        }
    }

    /// From now on these connections have their series, as `known` tells them whenever the page is asked for.
    pub fn follow(&self, known: impl Fn() -> All + Send + Sync + 'static) -> Following<'_> {
        self.known.set(Some(Arc::new(known)));
        Following(self)
    }

    /// All of them as text, as OpenMetrics has it.
    pub fn page(&self) -> String {
        let mut page = String::new();
        encode(&mut page, &self.book.registry).expect("a String takes everything");
        page
    }

    /// What there is, for the documentation.
    pub fn rows(&self) -> &[Row] {
        &self.book.rows
    }
}

impl Drop for Following<'_> {
    fn drop(&mut self) {
        self.0.known.set(None);
    }
}

#[cfg(test)]
mod tests;
