//! The book of all metrics: whatever is written into it stands on the page and in the documentation.

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

use super::{connections, label::Label};

const PREFIX: &str = "boxsync";

type Pair = (&'static str, &'static str);

/// What the documentation says of a metric.
#[derive(Clone, Debug)]
pub struct Row {
    /// As queries name it.
    pub name: String,
    pub kind: &'static str,
    /// Their names and what each means.
    pub labels: Vec<(&'static str, String)>,
    /// How many series there are at most.
    pub series: String,
    pub help: &'static str,
}

/// Counters by the words of N labels.
pub struct Counts<const N: usize> {
    labels: [Label; N],
    family: Family<[Pair; N], Counter>,
}

/// Histograms of times by the words of N labels.
pub struct Times<const N: usize> {
    labels: [Label; N],
    family: Family<[Pair; N], Histogram, Buckets>,
}

#[derive(Clone, Copy)]
struct Buckets(&'static [f64]);

pub(super) enum Kind {
    Info(&'static [&'static str]),
    Gauge,
}

pub(super) struct Book {
    pub(super) registry: Registry,
    pub(super) rows: Vec<Row>,
}

impl<const N: usize> Counts<N> {
    pub fn add(&self, words: [&'static str; N]) {
        self.family.get_or_create(&pairs(&self.labels, words)).inc();
    }
}

impl<const N: usize> Times<N> {
    pub fn observe(&self, words: [&'static str; N], time: Duration) {
        self.family.get_or_create(&pairs(&self.labels, words)).observe(time.as_secs_f64());
    }
}

/// Words that are known when the program is built are no names, and no texts of errors.
fn pairs<const N: usize>(labels: &[Label; N], words: [&'static str; N]) -> [Pair; N] {
    std::array::from_fn(|i| {
        debug_assert!(
            (labels[i].words)().contains(&words[i]),
            "{} is none of the words of {}",
            words[i],
            labels[i].name
        );
        (labels[i].name, words[i])
    })
}

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

impl Default for Book {
    fn default() -> Self {
        Self { registry: Registry::with_prefix(PREFIX), rows: Vec::new() }
    }
}

impl Book {
    pub(super) fn write(&mut self, name: &str, kind: Kind, help: &'static str, metric: impl Metric) {
        let (suffix, kind, labels) = match kind {
            Kind::Info(labels) => ("_info", "info", labels),
            Kind::Gauge => ("", "gauge", &[][..]),
        };
        let labels = labels.iter().map(|name| (*name, "the operator's".to_owned())).collect();
        self.row(format!("{PREFIX}_{name}{suffix}"), kind, labels, "1".to_owned(), help);
        self.registry.register(name, help, metric);
    }

    pub(super) fn counts<const N: usize>(&mut self, name: &str, help: &'static str, labels: [Label; N]) -> Counts<N> {
        let family = Family::default();
        let series = combinations(&labels).to_string();
        self.row(format!("{PREFIX}_{name}_total"), "counter", described(&labels), series, help);
        self.registry.register(name, help, family.clone());
        Counts { labels, family }
    }

    pub(super) fn times<const N: usize>(
        &mut self,
        name: &str,
        help: &'static str,
        labels: [Label; N],
        buckets: &'static [f64],
    ) -> Times<N> {
        let family = Family::new_with_constructor(Buckets(buckets));
        // The buckets, one without a bound, the sum and the count.
        let series = combinations(&labels) * (buckets.len() + 3);
        let full = format!("{PREFIX}_{name}_seconds");
        self.row(full, "histogram", described(&labels), series.to_string(), help);
        self.registry.register_with_unit(name, help, Unit::Seconds, family.clone());
        Times { labels, family }
    }

    /// The gauges that are read when the page is asked for.
    pub(super) fn collect(&mut self, gauges: &[connections::Gauge], collector: impl Collector) {
        for gauge in gauges {
            let own = ["namespace", "name"].map(|name| (name, "of the BoxConnection".to_owned()));
            let label = gauge.label.map(|label| (label, gauge.label_means.to_owned()));
            let series = format!("{} per connection", gauge.series);
            self.row(gauge.full_name(PREFIX), "gauge", own.into_iter().chain(label).collect(), series, gauge.help);
        }
        self.registry.register_collector(Box::new(collector));
    }

    fn row(
        &mut self,
        name: String,
        kind: &'static str,
        labels: Vec<(&'static str, String)>,
        series: String,
        help: &'static str,
    ) {
        self.rows.push(Row { name, kind, labels, series, help });
    }
}

fn combinations(labels: &[Label]) -> usize {
    labels.iter().map(|label| (label.words)().len()).product()
}

fn described(labels: &[Label]) -> Vec<(&'static str, String)> {
    labels.iter().map(|l| (l.name, format!("{}: `{}`", l.meaning, (l.words)().join("` `")))).collect()
}
