//! Registers metrics, both for export and for the generated documentation.

use std::time::Duration;

use prometheus_client::{
    collector::Collector,
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        histogram::Histogram,
    },
    registry::{Metric, Registry, Unit},
};

use super::{
    connections,
    labels::{CONNECTION_NAMESPACE, Label, WATCHED_NAMESPACE},
    watches,
};

const PREFIX: &str = "boxsync";

type LabelPair = (&'static str, &'static str);

/// The documentation of one metric.
#[derive(Clone, Debug)]
pub struct MetricDoc {
    /// The exported name.
    pub name: String,
    pub kind: &'static str,
    /// Name and meaning of each label.
    pub labels: Vec<(&'static str, String)>,
    /// Maximum number of series.
    pub series: String,
    pub help: &'static str,
}

/// Counters by N labels.
pub struct CounterFamily<const N: usize> {
    labels: [Label; N],
    family: Family<[LabelPair; N], Counter>,
}

/// Histograms of durations by N labels.
pub struct HistogramFamily<const N: usize> {
    labels: [Label; N],
    family: Family<[LabelPair; N], Histogram, Buckets>,
}

#[derive(Clone, Copy)]
struct Buckets(&'static [f64]);

pub(super) enum MetricKind {
    Info(&'static [&'static str]),
    Gauge,
}

pub(super) struct MetricRegistry {
    pub(super) inner: Registry,
    pub(super) docs: Vec<MetricDoc>,
}

impl<const N: usize> CounterFamily<N> {
    pub fn inc(&self, values: [&'static str; N]) {
        self.family.get_or_create(&label_pairs(&self.labels, values)).inc();
    }
}

impl<const N: usize> HistogramFamily<N> {
    pub fn observe(&self, values: [&'static str; N], duration: Duration) {
        self.family.get_or_create(&label_pairs(&self.labels, values)).observe(duration.as_secs_f64());
    }
}

/// `&'static str` values cannot be object names or error texts.
fn label_pairs<const N: usize>(labels: &[Label; N], values: [&'static str; N]) -> [LabelPair; N] {
    std::array::from_fn(|i| {
        debug_assert!(
            (labels[i].values)().contains(&values[i]),
            "{} is not a value of label {}",
            values[i],
            labels[i].name
        );
        (labels[i].name, values[i])
    })
}

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

impl Default for MetricRegistry {
    fn default() -> Self {
        Self { inner: Registry::with_prefix(PREFIX), docs: Vec::new() }
    }
}

impl MetricRegistry {
    pub(super) fn register_metric(&mut self, name: &str, kind: MetricKind, help: &'static str, metric: impl Metric) {
        let (suffix, kind, labels) = match kind {
            MetricKind::Info(labels) => ("_info", "info", labels),
            MetricKind::Gauge => ("", "gauge", &[][..]),
        };
        let labels = labels.iter().map(|name| (*name, "operator version".to_owned())).collect();
        self.add_doc(format!("{PREFIX}_{name}{suffix}"), kind, labels, "1".to_owned(), help);
        self.inner.register(name, help, metric);
    }

    pub(super) fn counter_family<const N: usize>(
        &mut self,
        name: &str,
        help: &'static str,
        labels: [Label; N],
    ) -> CounterFamily<N> {
        let family = Family::default();
        let series = label_combinations(&labels).to_string();
        self.add_doc(format!("{PREFIX}_{name}_total"), "counter", describe_labels(&labels), series, help);
        self.inner.register(name, help, family.clone());
        CounterFamily { labels, family }
    }

    pub(super) fn histogram_family<const N: usize>(
        &mut self,
        name: &str,
        help: &'static str,
        labels: [Label; N],
        buckets: &'static [f64],
    ) -> HistogramFamily<N> {
        let family: Family<[LabelPair; N], Histogram, Buckets> = Family::new_with_constructor(Buckets(buckets));
        if let Ok(no_labels) = <[LabelPair; N]>::try_from(&[][..]) {
            // From the start, since Prometheus does not see the first increase of a series that appears with it.
            drop(family.get_or_create(&no_labels));
        }
        // The buckets, +Inf, sum and count.
        let series = label_combinations(&labels) * (buckets.len() + 3);
        let full_name = format!("{PREFIX}_{name}_seconds");
        self.add_doc(full_name, "histogram", describe_labels(&labels), series.to_string(), help);
        self.inner.register_with_unit(name, help, Unit::Seconds, family.clone());
        HistogramFamily { labels, family }
    }

    /// Registers gauges that are read on each scrape.
    pub(super) fn register_gauges(&mut self, gauges: &[connections::ConnectionGauge], collector: impl Collector) {
        for gauge in gauges {
            let own = [CONNECTION_NAMESPACE, "name"].map(|name| (name, "of the BoxConnection".to_owned()));
            let label = gauge.label.map(|label| (label, gauge.label_meaning.to_owned()));
            let series = format!("{} per connection", gauge.series);
            self.add_doc(gauge.full_name(PREFIX), "gauge", own.into_iter().chain(label).collect(), series, gauge.help);
        }
        self.inner.register_collector(Box::new(collector));
    }

    /// Registers the gauges of watches and caches, which are read on each scrape.
    pub(super) fn register_watch_gauges(&mut self, kind: Label, cache: Label, collector: impl Collector) {
        let (kind_values, namespace) = ((kind.values)().len(), "a watched namespace; empty: all".to_owned());
        let labels = [(WATCHED_NAMESPACE, namespace)].into_iter().chain(describe_labels(&[kind])).collect();
        let (name, help) = watches::READABLE;
        self.add_doc(format!("{PREFIX}_{name}"), "gauge", labels, format!("{kind_values} per namespace"), help);
        let (name, help) = watches::CACHE_ENTRIES;
        let series = (cache.values)().len().to_string();
        self.add_doc(format!("{PREFIX}_{name}"), "gauge", describe_labels(&[cache]), series, help);
        self.inner.register_collector(Box::new(collector));
    }

    fn add_doc(
        &mut self,
        name: String,
        kind: &'static str,
        labels: Vec<(&'static str, String)>,
        series: String,
        help: &'static str,
    ) {
        self.docs.push(MetricDoc { name, kind, labels, series, help });
    }
}

fn label_combinations(labels: &[Label]) -> usize {
    labels.iter().map(|label| (label.values)().len()).product()
}

fn describe_labels(labels: &[Label]) -> Vec<(&'static str, String)> {
    labels.iter().map(|l| (l.name, format!("{}: `{}`", l.meaning, (l.values)().join("` `")))).collect()
}
