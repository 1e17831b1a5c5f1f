//! Who leads: what the operator's Lease says.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt, api::ListParams};
use serde::Serialize;

use super::{
    desk::Ink,
    exit::Stop,
    site::Site,
    trouble::{self, Right},
    words::age,
};
use crate::cluster::Trouble;

const LEASE: &str = "boxsync-operator";
const LABELS: &str = "app.kubernetes.io/name=boxsync-operator";
/// What Kubernetes' own components take where a Lease does not say.
const USUAL_SECONDS: i32 = 15;

/// Who looks after the connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Leader {
    Leads {
        name: String,
        lease: String,
        renew_time: Timestamp,
    },
    /// Somebody did, and does not say so any more.
    Late {
        name: String,
        lease: String,
        renew_time: Option<Timestamp>,
    },
    Nobody {
        r#where: String,
    },
    Unknown {
        why: String,
    },
}

/// Reads the Leases that could be the operator's.
pub(super) async fn leader(site: &Site, namespace: Option<&str>, now: Timestamp) -> Result<Leader, Stop> {
    let labels = ListParams::default().labels(LABELS);
    if let Some(namespace) = namespace {
        let api: Api<Lease> = site.cluster.api(namespace);
        return match site.cluster.call(api.get(LEASE)).await {
            Ok(lease) => Ok(of(&[lease], &place(namespace), now)),
            Err(Trouble::NotFound) => Ok(of(&[], &place(namespace), now)),
            Err(Trouble::Forbidden(_)) => Ok(Leader::Unknown {
                why: format!("you may not get leases in {}. Ask a cluster admin for that right", place(namespace)),
            }),
            Err(other) => Err(trouble::told(&other, &Right::to("get", "leases", namespace))),
        };
    }
    let everywhere: Api<Lease> = Api::all(site.cluster.client().clone());
    match site.cluster.call(everywhere.list(&labels)).await {
        Ok(leases) => return Ok(of(&leases.items, "any namespace", now)),
        Err(Trouble::Forbidden(_)) => {}
        Err(other) => return Err(trouble::told(&other, &Right::everywhere("list", "leases"))),
    }
    let here: Api<Lease> = site.cluster.api(&site.namespace);
    match site.cluster.call(here.list(&labels)).await {
        // Where it is elsewhere, it is only not seen.
        Ok(leases) if leases.items.is_empty() => Ok(unseen()),
        Ok(leases) => Ok(of(&leases.items, &place(&site.namespace), now)),
        Err(Trouble::Forbidden(_)) => Ok(unseen()),
        Err(other) => Err(trouble::told(&other, &Right::to("list", "leases", &site.namespace))),
    }
}

fn place(namespace: &str) -> String {
    format!("namespace {namespace}")
}

fn unseen() -> Leader {
    let why = "you may not list leases in other namespaces. Ask for that right, or name the operator's namespace with --operator-namespace";
    Leader::Unknown { why: why.to_owned() }
}

/// Who leads, of several the one who renewed last; else whoever renewed last. Pure.
fn of(leases: &[Lease], place: &str, now: Timestamp) -> Leader {
    let renewed = |lease: &Lease| lease.spec.as_ref().and_then(|s| s.renew_time.as_ref()).map(|t| t.0);
    let held = |lease: &Lease| {
        let spec = lease.spec.clone().unwrap_or_default();
        let lasts = SignedDuration::from_secs(spec.lease_duration_seconds.unwrap_or(USUAL_SECONDS).into());
        let holds = !spec.holder_identity.unwrap_or_default().is_empty();
        holds && renewed(lease).is_some_and(|time| time.duration_until(now) <= lasts)
    };
    let Some(lease) = leases.iter().max_by_key(|lease| (held(lease), renewed(lease))) else {
        return Leader::Nobody { r#where: place.to_owned() };
    };
    let spec = lease.spec.clone().unwrap_or_default();
    let named = format!("{}/{}", lease.namespace().unwrap_or_default(), lease.name_any());
    let holder = spec.holder_identity.clone().unwrap_or_default();
    match renewed(lease) {
        Some(time) if held(lease) => Leader::Leads { name: holder, lease: named, renew_time: time },
        renew_time => Leader::Late { name: holder, lease: named, renew_time },
    }
}

impl Leader {
    /// The first line of a status.
    pub(super) fn line(&self, ink: Ink, now: Timestamp) -> String {
        let pods = format!("See kubectl get pods -A -l {LABELS}");
        match self {
            Leader::Leads { name, lease, renew_time } => {
                format!("Operator: {name} leads (Lease {lease}, renewed {} ago)", age(*renew_time, now))
            }
            Leader::Late { name, lease, renew_time } => {
                let when = renew_time.map_or_else(|| "was never renewed".to_owned(), |t| format!("was last renewed {} ago", age(t, now)));
                let who = if name.is_empty() { "and is released".to_owned() } else { format!("by {name}") };
                ink.red(&format!("No operator leads: Lease {lease} {when} {who}. Nothing is synced until one does. {pods}"))
            }
            Leader::Nobody { r#where } => ink.red(&format!(
                "No operator leads: there is no Lease {LEASE} in {where}. Nothing is synced until one does. {pods}, or install the chart boxsync-operator"
            )),
            Leader::Unknown { why } => format!("Operator: unknown: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(lease: Option<serde_json::Value>) -> String {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a time");
        let leases: Vec<Lease> = lease
            .map(|spec| json!({ "metadata": { "name": LEASE, "namespace": "boxsync" }, "spec": spec }))
            .map(|lease| serde_json::from_value(lease).expect("a lease"))
            .into_iter()
            .collect();
        of(&leases, "any namespace", now).line(Ink::Plain, now)
    }

    #[test]
    fn of_several_leases_one_that_was_released_a_moment_ago_does_not_hide_who_leads() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a time");
        let lease = |namespace: &str, holder: &str, second: u8| {
            let spec = json!({ "holderIdentity": holder, "renewTime": format!("2026-11-22T11:59:{second}.000000Z") });
            let lease = json!({ "metadata": { "name": LEASE, "namespace": namespace }, "spec": spec });
            serde_json::from_value::<Lease>(lease).expect("a lease")
        };
        let both = [lease("a", "pod-a", 50), lease("b", "", 59)];
        assert!(matches!(of(&both, "any namespace", now), Leader::Leads { name, .. } if name == "pod-a"));
    }

    #[test]
    fn a_lease_renewed_within_its_time_leads() {
        let lease = |seconds| json!({ "holderIdentity": "pod-a", "leaseDurationSeconds": 15, "renewTime": format!("2026-11-22T11:59:{seconds}.000000Z") });
        assert_eq!(line(Some(lease(45))), "Operator: pod-a leads (Lease boxsync/boxsync-operator, renewed 15s ago)");
        let late = line(Some(lease(44)));
        assert!(
            late.starts_with("No operator leads: Lease boxsync/boxsync-operator was last renewed 16s ago by pod-a."),
            "{late}"
        );
    }

    #[test]
    fn a_released_lease_and_none_lead_nothing() {
        let released = line(Some(json!({ "holderIdentity": "", "renewTime": "2026-11-22T12:00:00.000000Z" })));
        assert!(released.contains("renewed 0s ago and is released"), "{released}");
        assert!(line(None).starts_with("No operator leads: there is no Lease boxsync-operator in any namespace."));
    }
}
