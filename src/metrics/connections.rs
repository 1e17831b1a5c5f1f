//! The gauges of each connection. They are what its status says when the page is asked for, and go with the object.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};

use crate::api::{BoxConnection, BoxConnectionStatus, Conditions, Reason, State};

/// The connections that there are.
pub type All = Vec<Arc<BoxConnection>>;

type Source = Arc<dyn Fn() -> All + Send + Sync>;

/// Where the connections are read; nowhere while this process does not work.
#[derive(Clone, Default)]
pub(super) struct Known(Arc<RwLock<Option<Source>>>);

impl Known {
    pub(super) fn set(&self, source: Option<Source>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = source;
    }

    fn all(&self) -> All {
        let source = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        source.map(|all| all()).unwrap_or_default()
    }
}

/// A gauge that each connection has.
pub(super) struct Gauge {
    name: &'static str,
    unit: Option<Unit>,
    pub(super) help: &'static str,
    /// Its label beside the connection's namespace and name.
    pub(super) label: Option<&'static str>,
    pub(super) label_means: &'static str,
    pub(super) series: usize,
    values: fn(&BoxConnection, &BoxConnectionStatus) -> Vec<Value>,
}

/// The label's word, if there is a label, and the value.
type Value = (&'static str, f64);

impl Gauge {
    pub(super) fn full_name(&self, prefix: &str) -> String {
        let unit = self.unit.as_ref().map(|unit| format!("_{}", unit.as_str())).unwrap_or_default();
        format!("{prefix}_{}{unit}", self.name)
    }
}

pub(super) const GAUGES: &[Gauge] = &[
    Gauge {
        name: "connection_ready",
        unit: None,
        help: "1 where the condition Ready is True: others may rely on the list",
        label: Some("reason"),
        label_means: "the reason of the condition",
        series: 1,
        values: |_, status| holds(status, "Ready"),
    },
    Gauge {
        name: "connection_connected",
        unit: None,
        help: "1 where the condition Connected is True: Box accepts the credentials",
        label: Some("reason"),
        label_means: "the reason of the condition",
        series: 1,
        values: |_, status| holds(status, "Connected"),
    },
    Gauge {
        name: "connection_suspended",
        unit: None,
        help: "1 where spec.suspend is true: its list may grow old",
        label: None,
        label_means: "",
        series: 1,
        values: |connection, _| single(Some(truth(connection.spec.suspend))),
    },
    Gauge {
        name: "connection_users",
        unit: None,
        help: "Users in the last complete list; their sum is the whole list",
        label: Some("status"),
        label_means: "their status in Box: `active` `inactive` `restricted` `other`",
        series: 4,
        values: |_, status| {
            let Some(users) = &status.users else { return Vec::new() };
            vec![
                ("active", number(users.active)),
                ("inactive", number(users.inactive)),
                ("restricted", number(users.restricted)),
                ("other", number(users.other)),
            ]
        },
    },
    Gauge {
        name: "connection_last_success_timestamp",
        unit: Some(Unit::Seconds),
        help: "When the last complete list was fetched, in Unix time; none before the first",
        label: None,
        label_means: "",
        series: 1,
        values: |_, status| single(status.last_sync.as_ref().map(|sync| time(&sync.completion_time))),
    },
    Gauge {
        name: "connection_stale_timestamp",
        unit: Some(Unit::Seconds),
        help: "When the last complete list stops counting as fresh, in Unix time; none before the first",
        label: None,
        label_means: "",
        series: 1,
        values: |_, status| single(status.stale_time.as_ref().map(time)),
    },
    Gauge {
        name: "connection_failing_since_timestamp",
        unit: Some(Unit::Seconds),
        help: "Since when the condition Synced is False, in Unix time; none where the last attempt succeeded",
        label: Some("reason"),
        label_means: "the reason of the condition",
        series: 1,
        values: |_, status| {
            let synced = status.conditions.of("Synced").filter(|c| c.status == State::False.as_str());
            let since = synced.map(|c| (reason(status, "Synced"), time(&c.last_transition_time)));
            since.into_iter().collect()
        },
    },
    Gauge {
        name: "connection_next_sync_timestamp",
        unit: Some(Unit::Seconds),
        help: "When the next automatic sync or retry is due, in Unix time; none while suspended or disconnected",
        label: None,
        label_means: "",
        series: 1,
        values: |_, status| single(status.next_sync_time.as_ref().map(time)),
    },
    Gauge {
        name: "connection_removals_held",
        unit: None,
        help: "Users who vanished from Box and whose removal waits for approval",
        label: None,
        label_means: "",
        series: 1,
        values: |_, status| single(Some(status.held.as_ref().map_or(0.0, |held| number(held.removals)))),
    },
];

/// Whether a condition is True, and why it is as it is.
fn holds(status: &BoxConnectionStatus, kind: &str) -> Vec<Value> {
    vec![(reason(status, kind), truth(status.conditions.is(kind, State::True)))]
}

fn reason(status: &BoxConnectionStatus, kind: &str) -> &'static str {
    status.conditions.reason(kind).unwrap_or(Reason::NotChecked).as_str()
}

fn single(value: Option<f64>) -> Vec<Value> {
    value.map(|value| ("", value)).into_iter().collect()
}

fn truth(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "no list has so many users")]
fn number(count: i64) -> f64 {
    count as f64
}

fn time(time: &Time) -> f64 {
    number(time.0.as_second())
}

pub(super) struct Connections(pub(super) Known);

impl Collector for Connections {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let connections = self.0.all();
        let nothing = BoxConnectionStatus::default();
        for gauge in GAUGES {
            let mut samples = connections
                .iter()
                .flat_map(|c| (gauge.values)(c, c.status.as_ref().unwrap_or(&nothing)).into_iter().map(move |v| (c, v)))
                .peekable();
            if samples.peek().is_none() {
                continue;
            }
            let mut family =
                encoder.encode_descriptor(gauge.name, gauge.help, gauge.unit.as_ref(), MetricType::Gauge)?;
            for (connection, (word, value)) in samples {
                let of = |part: &Option<String>| part.clone().unwrap_or_default();
                let mut labels =
                    vec![("namespace", of(&connection.metadata.namespace)), ("name", of(&connection.metadata.name))];
                labels.extend(gauge.label.map(|label| (label, word.to_owned())));
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connections")
    }
}
