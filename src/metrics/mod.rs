//! metrics — the Prometheus metrics of the operator.
//!
//! | file | holds |
//! | --- | --- |
//! | `labels` | the labels and their possible values |
//! | `registry` | defines a metric once, for export and documentation |
//! | `connections` | the gauges per connection, read from the watch cache on each scrape |
//! | `watches` | the gauges of the watches and caches, likewise |
//!
//! Invariants:
//! * A label value comes from a fixed list, or is the namespace or name of a BoxConnection or a namespace of the operator's
//!   flags. So the number of series is
//!   bounded, and no error text, user, token or secret can become a label value.
//! * No IO, no logging, no decisions.

mod connections;
mod labels;
mod registry;
mod watches;

use std::sync::Arc;

use prometheus_client::{
    encoding::text::encode,
    metrics::{gauge::Gauge, info::Info},
};

pub use connections::ConnectionList;
use connections::{ConnectionCollector, ConnectionSource};
use labels::{BOX_ENDPOINT, CACHE, CODE, ERROR, REASON, RECONCILED_KIND, RESULT, TRIGGER, WATCHED_KIND};
pub use registry::{CounterFamily, HistogramFamily, MetricDoc};
use registry::{MetricKind, MetricRegistry};
pub use watches::WatchReport;
use watches::{WatchCollector, WatchSource};

/// Content type of [`Metrics::encode_openmetrics`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Value of `--connection-metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerConnectionMetrics {
    Enabled,
    Disabled,
}

/// All metrics of the process.
pub struct Metrics {
    /// 1 while this process is the leader.
    pub leader: Gauge,
    /// 1 while the operator is paused.
    pub paused: Gauge,
    /// Token refreshes in progress.
    pub token_refreshes: Gauge,
    pub permits: Gauge,
    pub clock_skew: Gauge,
    pub unreadable_objects: Gauge,
    pub syncs: CounterFamily<2>,
    pub sync_duration: HistogramFamily<1>,
    pub user_visible: HistogramFamily<0>,
    pub requests: CounterFamily<2>,
    pub box_calls: CounterFamily<2>,
    pub box_call_duration: HistogramFamily<1>,
    pub box_rate_limit_wait: HistogramFamily<1>,
    pub reconcile_duration: HistogramFamily<1>,
    pub reconcile_errors: CounterFamily<2>,
    pub watch_errors: CounterFamily<1>,
    connection_source: ConnectionSource,
    watch_source: WatchSource,
    registry: MetricRegistry,
}

/// Stops the export of the leader's series on drop.
#[must_use]
pub struct ExportGuard<'a>(&'a Metrics);

impl Metrics {
    pub fn new(version: &'static str, per_connection: PerConnectionMetrics) -> Self {
        let mut registry = MetricRegistry::default();
        let connection_source = ConnectionSource::default();
        let build = Info::new([("version", version)]);
        registry.register_metric("build", MetricKind::Info(&["version"]), "Version of the operator; always 1", build);
        let mut new_gauge = |name, help| {
            let gauge = Gauge::default();
            registry.register_metric(name, MetricKind::Gauge, help, gauge.clone());
            gauge
        };
        let leader = new_gauge("leader", "1 in the leader, 0 in a standby replica");
        let paused = new_gauge("paused", "1 while the operator is paused (--paused)");
        let token_refreshes = new_gauge(
            "token_refreshes",
            "Refreshes of users' tokens in progress, from the call to Box until the new tokens are stored",
        );
        let permits = new_gauge(
            "permits_in_use",
            "Connections that sign in to Box or list users now, at most --max-concurrent-syncs",
        );
        let clock_skew = new_gauge(
            "clock_skew_seconds",
            "Seconds by which the operator's clock was ahead of Box's or the API server's at the last sync (negative: behind); 0 up to 5 minutes",
        );
        let unreadable_objects = new_gauge(
            "unreadable_objects",
            "Objects that this version cannot read and leaves alone; the log names them",
        );
        match per_connection {
            PerConnectionMetrics::Enabled => {
                registry.register_gauges(connections::GAUGES, ConnectionCollector(connection_source.clone()))
            }
            PerConnectionMetrics::Disabled => {}
        }
        let watch_source = WatchSource::default();
        registry.register_watch_gauges(WATCHED_KIND, CACHE, WatchCollector(watch_source.clone()));
        Self {
            leader,
            paused,
            token_refreshes,
            permits,
            clock_skew,
            unreadable_objects,
            syncs: registry.counter_family(
                "syncs",
                "Finished syncs by trigger and reason (Synced, or why nothing was published)",
                [TRIGGER, REASON],
            ),
            sync_duration: registry.histogram_family(
                "sync_duration",
                "Duration of a sync, from the first Box call until the list is published or the sync fails",
                [REASON],
                &[0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0],
            ),
            user_visible: registry.histogram_family(
                "user_visible",
                "Time from the creation of a user in Box until the list has the user; without first lists, users who return, and accounts that are older than 7 days",
                [],
                &[
                    300.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 43_200.0, 86_400.0, 129_600.0, 172_800.0,
                ],
            ),
            requests: registry.counter_family(
                "requests",
                "Finished UserSyncRequests by result and reason",
                [RESULT, REASON],
            ),
            box_calls: registry.counter_family(
                "box_calls",
                "Finished Box API calls, including retries",
                [BOX_ENDPOINT, CODE],
            ),
            box_call_duration: registry.histogram_family(
                "box_call_duration",
                "Duration of a Box API call, from connecting to the last byte",
                [BOX_ENDPOINT],
                &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0],
            ),
            box_rate_limit_wait: registry.histogram_family(
                "box_rate_limit_wait",
                "Retry-After durations that Box returned",
                [BOX_ENDPOINT],
                &[1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0],
            ),
            reconcile_duration: registry.histogram_family(
                "reconcile_duration",
                "Duration of a reconcile; for a BoxConnection it includes the sync",
                [RECONCILED_KIND],
                &[0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0],
            ),
            reconcile_errors: registry.counter_family(
                "reconcile_errors",
                "Failed reconciles by error",
                [RECONCILED_KIND, ERROR],
            ),
            watch_errors: registry.counter_family(
                "watch_errors",
                "Watches that were interrupted and restarted",
                [WATCHED_KIND],
            ),
            connection_source,
            watch_source,
            registry,
        }
    }

    /// Exports series of the connections that `list_connections` returns and of what `report_watches` returns on each
    /// scrape, until the guard is dropped.
    pub fn export_leader_series(
        &self,
        list_connections: impl Fn() -> ConnectionList + Send + Sync + 'static,
        report_watches: impl Fn() -> WatchReport + Send + Sync + 'static,
    ) -> ExportGuard<'_> {
        self.connection_source.set_lister(Some(Arc::new(list_connections)));
        self.watch_source.set_reporter(Some(Arc::new(report_watches)));
        ExportGuard(self)
    }

    /// All metrics in the OpenMetrics text format.
    pub fn encode_openmetrics(&self) -> String {
        let mut page = String::new();
        encode(&mut page, &self.registry.inner).expect("writing to a String cannot fail");
        page
    }

    /// The documentation of all metrics.
    pub fn metric_docs(&self) -> &[MetricDoc] {
        &self.registry.docs
    }
}

impl Drop for ExportGuard<'_> {
    fn drop(&mut self) {
        self.0.connection_source.set_lister(None);
        self.0.watch_source.set_reporter(None);
    }
}

#[cfg(test)]
mod tests;
