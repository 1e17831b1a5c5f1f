//! The gauges of the watches and caches, read on each scrape while this process is the leader.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

use super::labels::WATCHED_NAMESPACE;

/// What the watches have read, and how much of it is in memory.
pub struct WatchReport {
    /// Namespace (empty: all), kind, and whether the kind can be read there.
    pub readable: Vec<(String, &'static str, bool)>,
    /// The name of each cache, and its number of entries.
    pub cache_sizes: Vec<(&'static str, usize)>,
}

type WatchReporter = Arc<dyn Fn() -> WatchReport + Send + Sync>;

/// Where the report comes from; `None` while this process is not the leader.
#[derive(Clone, Default)]
pub(super) struct WatchSource(Arc<RwLock<Option<WatchReporter>>>);

impl WatchSource {
    pub(super) fn set_reporter(&self, reporter: Option<WatchReporter>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = reporter;
    }
}

pub(super) const READABLE: (&str, &str) =
    ("watch_readable", "1 if the operator can read this kind in this namespace; 0: nothing is synced there");
pub(super) const CACHE_ENTRIES: (&str, &str) =
    ("cache_entries", "Entries in memory; of finished requests only those with ttlSecondsAfterFinished");

pub(super) struct WatchCollector(pub(super) WatchSource);

impl Collector for WatchCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let reporter = self.0.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(report) = reporter.map(|report| report()) else { return Ok(()) };
        if !report.readable.is_empty() {
            let mut family = encoder.encode_descriptor(READABLE.0, READABLE.1, None, MetricType::Gauge)?;
            for (namespace, kind, readable) in &report.readable {
                let labels = [(WATCHED_NAMESPACE, namespace.as_str()), ("kind", kind)];
                ConstGauge::new(i64::from(*readable)).encode(family.encode_family(&labels)?)?;
            }
        }
        let mut family = encoder.encode_descriptor(CACHE_ENTRIES.0, CACHE_ENTRIES.1, None, MetricType::Gauge)?;
        for (cache, entries) in report.cache_sizes {
            let entries = i64::try_from(entries).unwrap_or(i64::MAX);
            ConstGauge::new(entries).encode(family.encode_family(&[("cache", cache)])?)?;
        }
        Ok(())
    }
}

impl fmt::Debug for WatchCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watches")
    }
}
