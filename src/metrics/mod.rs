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

mod connections;
mod labels;
mod registry;

use std::sync::Arc;

use prometheus_client::{
    encoding::text::encode,
    metrics::{gauge::Gauge, info::Info},
};

pub use connections::ConnectionList;
use connections::{ConnectionCollector, ConnectionSource};
use labels::{CODE, ENDPOINT, ERROR, REASON, RECONCILED_KIND, RESULT, TRIGGER, WATCHED_KIND};
pub use registry::{CounterFamily, HistogramFamily, MetricDoc};
use registry::{MetricKind, MetricRegistry};

/// What the page is, for whoever serves it.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether each connection has series of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerConnectionMetrics {
    Enabled,
    Disabled,
}

/// All metrics of a process, made once.
pub struct Metrics {
    /// 1 while this process does the work.
    pub leader: Gauge,
    /// 1 while the whole operator is paused.
    pub paused: Gauge,
    pub syncs: CounterFamily<2>,
    pub sync_duration: HistogramFamily<1>,
    pub requests: CounterFamily<2>,
    pub box_calls: CounterFamily<2>,
    pub box_call_duration: HistogramFamily<1>,
    pub box_rate_limit_wait: HistogramFamily<1>,
    pub reconcile_duration: HistogramFamily<1>,
    pub reconcile_errors: CounterFamily<2>,
    pub watch_errors: CounterFamily<1>,
    connection_source: ConnectionSource,
    registry: MetricRegistry,
}

/// While it is held, the connections of a store have their series.
#[must_use]
pub struct ExportGuard<'a>(&'a Metrics);

impl Metrics {
    pub fn new(version: &'static str, per_connection: PerConnectionMetrics) -> Self {
        let mut registry = MetricRegistry::default();
        let connection_source = ConnectionSource::default();
        let build = Info::new([("version", version)]);
        registry.register_metric(
            "build",
            MetricKind::Info(&["version"]),
            "The version of the operator; always 1",
            build,
        );
        let mut new_gauge = |name, help| {
            let gauge = Gauge::default();
            registry.register_metric(name, MetricKind::Gauge, help, gauge.clone());
            gauge
        };
        let leader = new_gauge("leader", "1 in the replica that does the work, 0 in one that stands by");
        let paused = new_gauge("paused", "1 while the operator starts no work, since it was told to pause");
        match per_connection {
            PerConnectionMetrics::Enabled => {
                registry.register_gauges(connections::GAUGES, ConnectionCollector(connection_source.clone()))
            }
            PerConnectionMetrics::Disabled => {}
        }
        Self {
            leader,
            paused,
            syncs: registry.counter_family(
                "syncs",
                "Syncs that ended, by what started them and how they ended: Synced, or why nothing new was published",
                [TRIGGER, REASON],
            ),
            sync_duration: registry.histogram_family(
                "sync_duration",
                "How long a sync took, from its first call to Box until its list was published or it failed",
                [REASON],
                &[0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0],
            ),
            requests: registry.counter_family(
                "requests",
                "UserSyncRequests that ended, by how and why",
                [RESULT, REASON],
            ),
            box_calls: registry.counter_family(
                "box_calls",
                "Calls to Box that ended, every try counted",
                [ENDPOINT, CODE],
            ),
            box_call_duration: registry.histogram_family(
                "box_call_duration",
                "How long a call to Box took, from connecting to the last byte",
                [ENDPOINT],
                &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0],
            ),
            box_rate_limit_wait: registry.histogram_family(
                "box_rate_limit_wait",
                "For how long Box asked to be left alone (Retry-After), as often as it asked",
                [ENDPOINT],
                &[1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0],
            ),
            reconcile_duration: registry.histogram_family(
                "reconcile_duration",
                "How long a reconcile took; that of a BoxConnection includes its sync",
                [RECONCILED_KIND],
                &[0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0],
            ),
            reconcile_errors: registry.counter_family(
                "reconcile_errors",
                "Reconciles that failed, by why",
                [RECONCILED_KIND, ERROR],
            ),
            watch_errors: registry.counter_family(
                "watch_errors",
                "Watches that were interrupted, and began again",
                [WATCHED_KIND],
            ),
            connection_source,
            registry,
        }
    }

    /// From now on these connections have their series, as `known` tells them whenever the page is asked for.
    pub fn export_connections(
        &self,
        list_connections: impl Fn() -> ConnectionList + Send + Sync + 'static,
    ) -> ExportGuard<'_> {
        self.connection_source.set_lister(Some(Arc::new(list_connections)));
        ExportGuard(self)
    }

    /// All of them as text, as OpenMetrics has it.
    pub fn encode_openmetrics(&self) -> String {
        let mut page = String::new();
        encode(&mut page, &self.registry.inner).expect("a String takes everything");
        page
    }

    /// What there is, for the documentation.
    pub fn metric_docs(&self) -> &[MetricDoc] {
        &self.registry.docs
    }
}

impl Drop for ExportGuard<'_> {
    fn drop(&mut self) {
        self.0.connection_source.set_lister(None);
    }
}

#[cfg(test)]
mod tests;
