//! The gauges per connection, computed from its status on each scrape; they disappear with the object.

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

use super::labels::CONNECTION_NAMESPACE;
use crate::api::{
    BoxConnection, BoxConnectionStatus, ConditionStatus, ConditionsExt, MassChangeKind, Reason, SyncAttempt,
};

/// All connections in the watch cache.
pub type ConnectionList = Vec<Arc<BoxConnection>>;

type ConnectionLister = Arc<dyn Fn() -> ConnectionList + Send + Sync>;

/// Where connections are listed from; `None` while this process is not the leader.
#[derive(Clone, Default)]
pub(super) struct ConnectionSource(Arc<RwLock<Option<ConnectionLister>>>);

impl ConnectionSource {
    pub(super) fn set_lister(&self, lister: Option<ConnectionLister>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = lister;
    }

    fn list_connections(&self) -> ConnectionList {
        let lister = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        lister.map(|all| all()).unwrap_or_default()
    }
}

/// A gauge exported for each connection.
pub(super) struct ConnectionGauge {
    name: &'static str,
    unit: Option<Unit>,
    pub(super) help: &'static str,
    /// A label besides those of the connection.
    pub(super) label: Option<&'static str>,
    pub(super) label_meaning: &'static str,
    pub(super) series: usize,
    samples: fn(&BoxConnection, &BoxConnectionStatus) -> Vec<GaugeSample>,
}

/// The value of `label` (empty if there is none) and the value of the gauge.
type GaugeSample = (&'static str, f64);

impl ConnectionGauge {
    pub(super) fn full_name(&self, prefix: &str) -> String {
        let unit = self.unit.as_ref().map(|unit| format!("_{}", unit.as_str())).unwrap_or_default();
        format!("{prefix}_{}{unit}", self.name)
    }
}

pub(super) const GAUGES: &[ConnectionGauge] = &[
    ConnectionGauge {
        name: "connection_ready",
        unit: None,
        help: "1 if the condition Ready is True: the list can be relied on",
        label: Some("reason"),
        label_meaning: "the reason of the condition",
        series: 1,
        samples: |_, status| condition_sample(status, "Ready"),
    },
    ConnectionGauge {
        name: "connection_connected",
        unit: None,
        help: "1 if the condition Connected is True: Box accepts the credentials",
        label: Some("reason"),
        label_meaning: "the reason of the condition",
        series: 1,
        samples: |_, status| condition_sample(status, "Connected"),
    },
    ConnectionGauge {
        name: "connection_suspended",
        unit: None,
        help: "1 if spec.suspend is true: its list can become stale",
        label: None,
        label_meaning: "",
        series: 1,
        samples: |connection, _| unlabelled_sample(Some(bool_value(connection.spec.suspend))),
    },
    ConnectionGauge {
        name: "connection_users",
        unit: None,
        help: "Users in the last complete list, by status; the sum is the whole list",
        label: Some("status"),
        label_meaning: "their status in Box: `active` `inactive` `restricted` `other`",
        series: 4,
        samples: |_, status| {
            let Some(users) = &status.users else { return Vec::new() };
            vec![
                ("active", count_value(users.active)),
                ("inactive", count_value(users.inactive)),
                ("restricted", count_value(users.restricted)),
                ("other", count_value(users.other)),
            ]
        },
    },
    ConnectionGauge {
        name: "connection_last_success_timestamp",
        unit: Some(Unit::Seconds),
        help: "When the last complete list was fetched, in Unix time; none before the first",
        label: None,
        label_meaning: "",
        series: 1,
        samples: |_, status| {
            unlabelled_sample(status.last_sync.as_ref().map(|sync| timestamp_value(&sync.completion_time)))
        },
    },
    ConnectionGauge {
        name: "connection_stale_timestamp",
        unit: Some(Unit::Seconds),
        help: "When the last complete list becomes stale, in Unix time; none before the first",
        label: None,
        label_meaning: "",
        series: 1,
        samples: |_, status| unlabelled_sample(status.stale_time.as_ref().map(timestamp_value)),
    },
    ConnectionGauge {
        name: "connection_failing_since_timestamp",
        unit: Some(Unit::Seconds),
        help: "When the condition Synced became False, in Unix time; none if the last attempt succeeded",
        label: Some("reason"),
        label_meaning: "the reason of the condition",
        series: 1,
        samples: |_, status| {
            let synced =
                status.conditions.find_condition("Synced").filter(|c| c.status == ConditionStatus::False.as_str());
            let since = synced.map(|c| (condition_reason(status, "Synced"), timestamp_value(&c.last_transition_time)));
            since.into_iter().collect()
        },
    },
    ConnectionGauge {
        name: "connection_next_sync_timestamp",
        unit: Some(Unit::Seconds),
        help: "When the next automatic sync or retry is due, in Unix time; none while suspended or disconnected",
        label: None,
        label_meaning: "",
        series: 1,
        samples: |_, status| unlabelled_sample(status.next_sync_time.as_ref().map(timestamp_value)),
    },
    ConnectionGauge {
        name: "connection_removals_held",
        unit: None,
        help: "Users missing in Box whose removal waits for approval",
        label: None,
        label_meaning: "",
        series: 1,
        samples: |_, status| {
            unlabelled_sample(Some(status.held.as_ref().map_or(0.0, |held| count_value(held.removals))))
        },
    },
    ConnectionGauge {
        name: "connection_mass_change_timestamp",
        unit: Some(Unit::Seconds),
        help: "When so many users changed in one sync that somebody should know of it, in Unix time; the last time, none if it is not in the history",
        label: Some("kind"),
        label_meaning: "what changed: `Deactivated` `LoginChanged` `Recreated` `TrackingCodeLost`",
        series: 3,
        samples: |_, status| {
            let last = |kind: MassChangeKind| {
                let has_kind = |attempt: &&SyncAttempt| attempt.mass_changes.iter().any(|change| change.kind == kind);
                let attempt = status.history.iter().find(has_kind)?;
                Some((kind.as_str(), timestamp_value(&attempt.completion_time)))
            };
            MassChangeKind::KNOWN.into_iter().filter_map(last).collect()
        },
    },
];

/// 1 if the condition is True, with its reason.
fn condition_sample(status: &BoxConnectionStatus, kind: &str) -> Vec<GaugeSample> {
    vec![(condition_reason(status, kind), bool_value(status.conditions.has_status(kind, ConditionStatus::True)))]
}

fn condition_reason(status: &BoxConnectionStatus, kind: &str) -> &'static str {
    status.conditions.reason(kind).unwrap_or(Reason::NotChecked).as_str()
}

fn unlabelled_sample(value: Option<f64>) -> Vec<GaugeSample> {
    value.map(|value| ("", value)).into_iter().collect()
}

fn bool_value(condition: bool) -> f64 {
    if condition { 1.0 } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "user counts and Unix times are below 2^52")]
fn count_value(count: i64) -> f64 {
    count as f64
}

fn timestamp_value(time: &Time) -> f64 {
    count_value(time.0.as_second())
}

pub(super) struct ConnectionCollector(pub(super) ConnectionSource);

impl Collector for ConnectionCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let connections = self.0.list_connections();
        let empty_status = BoxConnectionStatus::default();
        for gauge in GAUGES {
            let mut samples = connections
                .iter()
                .flat_map(|c| {
                    (gauge.samples)(c, c.status.as_ref().unwrap_or(&empty_status)).into_iter().map(move |v| (c, v))
                })
                .peekable();
            if samples.peek().is_none() {
                continue;
            }
            let mut family =
                encoder.encode_descriptor(gauge.name, gauge.help, gauge.unit.as_ref(), MetricType::Gauge)?;
            for (connection, (label_value, value)) in samples {
                let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
                let mut labels = vec![
                    (CONNECTION_NAMESPACE, or_empty(&connection.metadata.namespace)),
                    ("name", or_empty(&connection.metadata.name)),
                ];
                labels.extend(gauge.label.map(|label| (label, label_value.to_owned())));
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ConnectionCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connections")
    }
}
