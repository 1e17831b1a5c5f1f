//! The leader election status of the operator, from its Lease.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt, api::ListParams};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    api::{BoxConnection, LeaseRef, OperatorEvidence},
    cli::{
        errors::{self, Permission},
        exit_code::CliError,
        kube_context::KubeContext,
        output::{
            format::format_age,
            styled::{StyledText, TextStyle},
        },
    },
    kube_client::KubeError,
    text::clamp_text,
};

const LEASE_NAME: &str = "boxsync-operator";
const OPERATOR_SELECTOR: &str = "app.kubernetes.io/name=boxsync-operator";
/// The default of Kubernetes' own components, for a Lease without a duration.
const DEFAULT_LEASE_SECONDS: i32 = 15;
/// The longest --lease-duration that the operator accepts.
const MAX_LEASE_SECONDS: i32 = 300;
const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);
const MAX_HOLDER_CHARS: usize = 256;
/// Operators of one cluster: usually one.
const MAX_LEASES: usize = 20;
const NO_ELECTION: &str = "it runs without leader election, so that nothing in the cluster shows whether it runs";

/// The leader of the operator's replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "state", rename_all_fields = "camelCase")]
pub(crate) enum LeaderStatus {
    /// A leader renews the Lease.
    Active {
        /// `spec.holderIdentity` of the Lease.
        holder_identity: String,
        /// Namespace and name of the Lease.
        lease: String,
        /// `spec.renewTime` of the Lease.
        #[schemars(with = "String", extend("format" = "date-time"))]
        renew_time: Timestamp,
    },
    /// A Lease like the operator's is renewed, but no connection names it.
    Unconfirmed {
        /// `spec.holderIdentity` of the Lease.
        holder_identity: String,
        /// Namespace and name of the Lease.
        lease: String,
        /// `spec.renewTime` of the Lease.
        #[schemars(with = "String", extend("format" = "date-time"))]
        renew_time: Timestamp,
    },
    /// The Lease has expired or was released.
    Expired {
        /// `spec.holderIdentity` of the Lease; empty if it was released.
        holder_identity: String,
        /// Namespace and name of the Lease.
        lease: String,
        /// `spec.renewTime` of the Lease; null if it was never renewed.
        #[schemars(with = "Option<String>", extend("format" = "date-time"))]
        renew_time: Option<Timestamp>,
    },
    /// No Lease of the operator was found.
    NoLease {
        /// Where the Lease was searched for.
        scope: String,
    },
    /// The Lease cannot be read.
    Unknown {
        /// Why, and how to get the permission.
        message: String,
    },
}

/// Whether the operator runs, by the Leases that the connections name. The Lease in `namespace` counts instead, if given.
///
/// Only the operator can write the status of a connection, but anybody can create a Lease somewhere. So a Lease that no
/// connection names never shows that an operator runs.
pub(crate) async fn read_leader_status(
    kube: &KubeContext,
    namespace: Option<&str>,
    connections: &[BoxConnection],
    now: Timestamp,
) -> Result<LeaderStatus, CliError> {
    if let Some(namespace) = namespace {
        return read_lease(kube, namespace, LEASE_NAME, now).await;
    }
    let operators = || connections.iter().filter_map(|connection| connection.status.as_ref()?.operator.as_ref());
    let named: BTreeSet<&LeaseRef> = operators().filter_map(|operator| operator.lease_ref.as_ref()).collect();
    let mut worst = None;
    for LeaseRef { namespace, name } in named.into_iter().take(MAX_LEASES) {
        let status = read_lease(kube, namespace, name, now).await?;
        worst = Some(worst.map_or_else(|| status.clone(), |worst| LeaderStatus::more_severe(worst, status.clone())));
    }
    match worst {
        Some(worst) => Ok(worst),
        None if operators().next().is_some() => Ok(LeaderStatus::Unknown { message: NO_ELECTION.to_owned() }),
        None => search_leases(kube, now).await,
    }
}

async fn read_lease(kube: &KubeContext, namespace: &str, name: &str, now: Timestamp) -> Result<LeaderStatus, CliError> {
    let api: Api<Lease> = kube.client.api(namespace);
    let scope = namespace_scope(namespace);
    match kube.client.call(api.get(name)).await {
        Ok(lease) => Ok(leader_from_lease(&lease, now)),
        Err(KubeError::NotFound) => Ok(LeaderStatus::NoLease { scope }),
        Err(KubeError::Forbidden(_)) => Ok(LeaderStatus::Unknown {
            message: format!("you may not get leases in {scope}. Ask a cluster admin for that permission"),
        }),
        Err(other) => Err(errors::kube_cli_error(&other, &Permission::in_namespace("get", "leases", namespace))),
    }
}

/// Searches for a Lease that could be the operator's.
async fn search_leases(kube: &KubeContext, now: Timestamp) -> Result<LeaderStatus, CliError> {
    let labels = ListParams::default().labels(OPERATOR_SELECTOR);
    let everywhere: Api<Lease> = Api::all(kube.client.raw_client().clone());
    match kube.client.call(everywhere.list(&labels)).await {
        Ok(leases) => return Ok(leader_from_leases(&leases.items, "any namespace", now)),
        Err(KubeError::Forbidden(_)) => {}
        Err(other) => return Err(errors::kube_cli_error(&other, &Permission::in_all_namespaces("list", "leases"))),
    }
    let here: Api<Lease> = kube.client.api(&kube.namespace);
    match kube.client.call(here.list(&labels)).await {
        // The Lease may be in a namespace that the caller cannot list.
        Ok(leases) if leases.items.is_empty() => Ok(unknown_leader()),
        Ok(leases) => Ok(leader_from_leases(&leases.items, &namespace_scope(&kube.namespace), now)),
        Err(KubeError::Forbidden(_)) => Ok(unknown_leader()),
        Err(other) => Err(kube.explain_error("list", "leases")(other)),
    }
}

fn namespace_scope(namespace: &str) -> String {
    format!("namespace {namespace}")
}

fn unknown_leader() -> LeaderStatus {
    let message = "you may not list leases in other namespaces. Ask a cluster admin for that permission, or name the operator's namespace with --operator-namespace";
    LeaderStatus::Unknown { message: message.to_owned() }
}

/// The state of Leases that no connection names: of one that is renewed, if there is one. Pure.
fn leader_from_leases(leases: &[Lease], scope: &str, now: Timestamp) -> LeaderStatus {
    let states = leases.iter().map(|lease| leader_from_lease(lease, now));
    let newest = states.max_by_key(|state| match state {
        LeaderStatus::Active { renew_time, .. } => (true, Some(*renew_time)),
        LeaderStatus::Expired { renew_time, .. } => (false, *renew_time),
        LeaderStatus::Unconfirmed { .. } | LeaderStatus::NoLease { .. } | LeaderStatus::Unknown { .. } => (false, None),
    });
    match newest {
        Some(LeaderStatus::Active { holder_identity, lease, renew_time }) => {
            LeaderStatus::Unconfirmed { holder_identity, lease, renew_time }
        }
        Some(other) => other,
        None => LeaderStatus::NoLease { scope: scope.to_owned() },
    }
}

/// A Lease is believed for [`MAX_LEASE_SECONDS`] at most, and not if it was renewed in the future. Pure.
fn leader_from_lease(lease: &Lease, now: Timestamp) -> LeaderStatus {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.unwrap_or(DEFAULT_LEASE_SECONDS).clamp(1, MAX_LEASE_SECONDS);
    let lease_name = format!("{}/{}", lease.namespace().unwrap_or_default(), lease.name_any());
    let holder_identity = clamp_text(&spec.holder_identity.unwrap_or_default(), MAX_HOLDER_CHARS);
    let renew_time = spec.renew_time.map(|time| time.0);
    let believed = -MAX_CLOCK_SKEW..=SignedDuration::from_secs(seconds.into());
    match renew_time.filter(|time| !holder_identity.is_empty() && believed.contains(&time.duration_until(now))) {
        Some(renew_time) => LeaderStatus::Active { holder_identity, lease: lease_name, renew_time },
        None => LeaderStatus::Expired { holder_identity, lease: lease_name, renew_time },
    }
}

impl LeaderStatus {
    /// The one that tells of more trouble.
    fn more_severe(one: Self, other: Self) -> Self {
        let severity = |status: &Self| match status {
            LeaderStatus::Active { .. } => 0,
            LeaderStatus::Unknown { .. } => 1,
            LeaderStatus::Unconfirmed { .. } => 2,
            LeaderStatus::Expired { .. } | LeaderStatus::NoLease { .. } => 3,
        };
        if severity(&other) > severity(&one) { other } else { one }
    }

    /// Whether an operator runs, as far as this shows.
    pub(crate) const fn evidence(&self) -> OperatorEvidence {
        match self {
            LeaderStatus::Active { .. } => OperatorEvidence::Active,
            LeaderStatus::Expired { .. } | LeaderStatus::NoLease { .. } => OperatorEvidence::Absent,
            LeaderStatus::Unconfirmed { .. } | LeaderStatus::Unknown { .. } => OperatorEvidence::Unknown,
        }
    }

    /// The first line of the status output, without its line break.
    pub(crate) fn status_line(&self, now: Timestamp) -> StyledText {
        let pods = format!("Check kubectl get pods -A -l {OPERATOR_SELECTOR}");
        let (style, line) = match self {
            LeaderStatus::Active { holder_identity, lease, renew_time } => {
                let age = format_age(*renew_time, now);
                (
                    TextStyle::Plain,
                    format!("Operator: {holder_identity} is the leader (Lease {lease}, renewed {age} ago)"),
                )
            }
            LeaderStatus::Unconfirmed { .. } => (
                TextStyle::Yellow,
                format!("Operator: not confirmed: {}. {pods}", self.unconfirmed_reason().unwrap_or_default()),
            ),
            LeaderStatus::Expired { holder_identity, lease, renew_time } => {
                let when = match renew_time {
                    None => "was never renewed".to_owned(),
                    Some(time) if *time > now => {
                        format!("was last renewed in the future, at {time}: compare the clocks")
                    }
                    Some(time) => format!("was last renewed {} ago", format_age(*time, now)),
                };
                let by = if holder_identity.is_empty() {
                    " (released)".to_owned()
                } else {
                    format!(" by {holder_identity}")
                };
                (
                    TextStyle::Red,
                    format!("No leader: Lease {lease} {when}{by}. Nothing is synced without a leader. {pods}"),
                )
            }
            LeaderStatus::NoLease { scope } => (
                TextStyle::Red,
                format!(
                    "No leader: no Lease {LEASE_NAME} in {scope}. Nothing is synced without a leader. {pods}, or install the chart boxsync-operator"
                ),
            ),
            LeaderStatus::Unknown { message } => (TextStyle::Plain, format!("Operator: unknown: {message}")),
        };
        StyledText::styled(style, &line)
    }

    /// Why a Lease that is renewed does not show that the operator runs, without a full stop.
    pub(crate) fn unconfirmed_reason(&self) -> Option<String> {
        let LeaderStatus::Unconfirmed { holder_identity, lease, .. } = self else { return None };
        Some(format!(
            "{holder_identity} renews Lease {lease}, but no connection here names this Lease as its operator's, as each does once an operator has worked on it"
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: &str = "2026-11-22T12:00:00Z";

    fn lease(namespace: &str, spec: &serde_json::Value) -> Lease {
        let lease = json!({ "metadata": { "name": LEASE_NAME, "namespace": namespace }, "spec": spec });
        serde_json::from_value(lease).expect("a lease")
    }

    fn status_line_for(spec: &serde_json::Value) -> String {
        let now = NOW.parse().expect("a time");
        leader_from_lease(&lease("boxsync", spec), now).status_line(now).to_string()
    }

    #[test]
    fn a_lease_that_no_connection_names_confirms_no_operator() {
        let now: Timestamp = NOW.parse().expect("a time");
        let held_by = |namespace: &str, holder: &str, second: u8| {
            let renewed = format!("2026-11-22T11:59:{second}.000000Z");
            lease(namespace, &json!({ "holderIdentity": holder, "renewTime": renewed }))
        };
        // A recently released Lease does not hide the one that is renewed.
        let both = [held_by("a", "pod-a", 50), held_by("b", "", 59)];
        let status = leader_from_leases(&both, "any namespace", now);
        assert!(
            matches!(&status, LeaderStatus::Unconfirmed { lease, .. } if lease == "a/boxsync-operator"),
            "{status:?}"
        );
        let line = status.status_line(now).to_string();
        assert!(line.starts_with("Operator: not confirmed: pod-a renews Lease a/boxsync-operator, but"), "{line}");
        let line = leader_from_leases(&[], "any namespace", now).status_line(now).to_string();
        assert!(line.starts_with("No leader: no Lease boxsync-operator in any namespace."), "{line}");
    }

    #[test]
    fn a_lease_is_active_until_its_duration_has_passed() {
        let lease = |seconds| json!({ "holderIdentity": "pod-a", "leaseDurationSeconds": 15, "renewTime": format!("2026-11-22T11:59:{seconds}.000000Z") });
        assert_eq!(
            status_line_for(&lease(45)),
            "Operator: pod-a is the leader (Lease boxsync/boxsync-operator, renewed 15s ago)"
        );
        let expired = status_line_for(&lease(44));
        assert!(
            expired.starts_with("No leader: Lease boxsync/boxsync-operator was last renewed 16s ago by pod-a."),
            "{expired}"
        );
        let released = status_line_for(&json!({ "holderIdentity": "", "renewTime": "2026-11-22T12:00:00.000000Z" }));
        assert!(released.contains("renewed 0s ago (released)."), "{released}");
    }

    #[test]
    fn no_lease_is_believed_for_more_than_five_minutes_or_from_the_future() {
        for (duration, renewed, active) in [
            (json!(i32::MAX), "2026-11-22T11:55:00Z", true),
            (json!(i32::MAX), "2026-11-22T11:54:59Z", false),
            (json!(-1), "2026-11-22T12:00:00Z", true),
            (json!(0), "2026-11-22T11:59:58Z", false),
            (json!(null), "2026-11-22T11:59:45Z", true),
            (json!(15), "2026-11-22T12:01:00Z", true),
            (json!(15), "2026-11-22T12:01:01Z", false),
            (json!(i32::MAX), "9999-01-01T00:00:00Z", false),
        ] {
            let line = status_line_for(
                &json!({ "holderIdentity": "pod-a", "leaseDurationSeconds": duration, "renewTime": renewed.replace('Z', ".000000Z") }),
            );
            assert_eq!(line.starts_with("Operator: pod-a is the leader"), active, "{duration} {renewed}: {line}");
        }
    }
}
