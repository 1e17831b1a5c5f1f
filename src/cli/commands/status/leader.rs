//! The leader election status of the operator, from its Lease.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt, api::ListParams};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    cli::{
        errors::{self, Permission},
        exit_code::CliError,
        io::ColorMode,
        kube_context::KubeContext,
        output::format::format_age,
    },
    kube_client::KubeError,
};

const LEASE_NAME: &str = "boxsync-operator";
const OPERATOR_SELECTOR: &str = "app.kubernetes.io/name=boxsync-operator";
/// The default of Kubernetes' own components, for a Lease without a duration.
const DEFAULT_LEASE_SECONDS: i32 = 15;

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

/// Reads the Leases that could be the operator's.
pub(crate) async fn read_leader_status(
    kube: &KubeContext,
    namespace: Option<&str>,
    now: Timestamp,
) -> Result<LeaderStatus, CliError> {
    let labels = ListParams::default().labels(OPERATOR_SELECTOR);
    if let Some(namespace) = namespace {
        let api: Api<Lease> = kube.client.api(namespace);
        return match kube.client.call(api.get(LEASE_NAME)).await {
            Ok(lease) => Ok(leader_from_leases(&[lease], &namespace_scope(namespace), now)),
            Err(KubeError::NotFound) => Ok(leader_from_leases(&[], &namespace_scope(namespace), now)),
            Err(KubeError::Forbidden(_)) => Ok(LeaderStatus::Unknown {
                message: format!(
                    "you may not get leases in {}. Ask a cluster admin for that permission",
                    namespace_scope(namespace)
                ),
            }),
            Err(other) => Err(errors::kube_cli_error(&other, &Permission::in_namespace("get", "leases", namespace))),
        };
    }
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

/// Selects the active Lease that was renewed last; if none is active, the one that was renewed last. Pure.
fn leader_from_leases(leases: &[Lease], scope: &str, now: Timestamp) -> LeaderStatus {
    let renew_time_of = |lease: &Lease| lease.spec.as_ref().and_then(|s| s.renew_time.as_ref()).map(|t| t.0);
    let is_active = |lease: &Lease| {
        let spec = lease.spec.clone().unwrap_or_default();
        let duration = SignedDuration::from_secs(spec.lease_duration_seconds.unwrap_or(DEFAULT_LEASE_SECONDS).into());
        let has_holder = !spec.holder_identity.unwrap_or_default().is_empty();
        has_holder && renew_time_of(lease).is_some_and(|time| time.duration_until(now) <= duration)
    };
    let Some(lease) = leases.iter().max_by_key(|lease| (is_active(lease), renew_time_of(lease))) else {
        return LeaderStatus::NoLease { scope: scope.to_owned() };
    };
    let spec = lease.spec.clone().unwrap_or_default();
    let lease_name = format!("{}/{}", lease.namespace().unwrap_or_default(), lease.name_any());
    let holder = spec.holder_identity.clone().unwrap_or_default();
    match renew_time_of(lease) {
        Some(time) if is_active(lease) => {
            LeaderStatus::Active { holder_identity: holder, lease: lease_name, renew_time: time }
        }
        renew_time => LeaderStatus::Expired { holder_identity: holder, lease: lease_name, renew_time },
    }
}

impl LeaderStatus {
    /// The first line of the status output.
    pub(crate) fn status_line(&self, color: ColorMode, now: Timestamp) -> String {
        let pods = format!("Check kubectl get pods -A -l {OPERATOR_SELECTOR}");
        match self {
            LeaderStatus::Active { holder_identity, lease, renew_time } => {
                format!("Operator: {holder_identity} is the leader (Lease {lease}, renewed {} ago)", format_age(*renew_time, now))
            }
            LeaderStatus::Expired { holder_identity, lease, renew_time } => {
                let when = renew_time.map_or_else(|| "was never renewed".to_owned(), |t| format!("was last renewed {} ago", format_age(t, now)));
                let by = if holder_identity.is_empty() { " (released)".to_owned() } else { format!(" by {holder_identity}") };
                color.red(&format!("No leader: Lease {lease} {when}{by}. Nothing is synced without a leader. {pods}"))
            }
            LeaderStatus::NoLease { scope } => color.red(&format!(
                "No leader: no Lease {LEASE_NAME} in {scope}. Nothing is synced without a leader. {pods}, or install the chart boxsync-operator"
            )),
            LeaderStatus::Unknown { message } => format!("Operator: unknown: {message}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status_line_for(lease: Option<serde_json::Value>) -> String {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a time");
        let leases: Vec<Lease> = lease
            .map(|spec| json!({ "metadata": { "name": LEASE_NAME, "namespace": "boxsync" }, "spec": spec }))
            .map(|lease| serde_json::from_value(lease).expect("a lease"))
            .into_iter()
            .collect();
        leader_from_leases(&leases, "any namespace", now).status_line(ColorMode::Plain, now)
    }

    #[test]
    fn a_recently_released_lease_does_not_hide_the_active_leader() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a time");
        let lease = |namespace: &str, holder: &str, second: u8| {
            let spec = json!({ "holderIdentity": holder, "renewTime": format!("2026-11-22T11:59:{second}.000000Z") });
            let lease = json!({ "metadata": { "name": LEASE_NAME, "namespace": namespace }, "spec": spec });
            serde_json::from_value::<Lease>(lease).expect("a lease")
        };
        let both = [lease("a", "pod-a", 50), lease("b", "", 59)];
        assert!(
            matches!(leader_from_leases(&both, "any namespace", now), LeaderStatus::Active { holder_identity, .. } if holder_identity == "pod-a")
        );
    }

    #[test]
    fn a_lease_is_active_until_its_duration_has_passed() {
        let lease = |seconds| json!({ "holderIdentity": "pod-a", "leaseDurationSeconds": 15, "renewTime": format!("2026-11-22T11:59:{seconds}.000000Z") });
        assert_eq!(
            status_line_for(Some(lease(45))),
            "Operator: pod-a is the leader (Lease boxsync/boxsync-operator, renewed 15s ago)"
        );
        let expired = status_line_for(Some(lease(44)));
        assert!(
            expired.starts_with("No leader: Lease boxsync/boxsync-operator was last renewed 16s ago by pod-a."),
            "{expired}"
        );
    }

    #[test]
    fn a_released_or_missing_lease_means_no_leader() {
        let released =
            status_line_for(Some(json!({ "holderIdentity": "", "renewTime": "2026-11-22T12:00:00.000000Z" })));
        assert!(released.contains("renewed 0s ago (released)."), "{released}");
        assert!(status_line_for(None).starts_with("No leader: no Lease boxsync-operator in any namespace."));
    }
}
