//! Detects which other tool manages a Secret, from its metadata. Pure.

use kube::api::ObjectMeta;

/// Labels and annotations, and the tool that sets them.
const MARKER_KEYS: &[(&str, &str)] = &[
    ("kustomize.toolkit.fluxcd.io/name", "Flux"),
    ("helm.toolkit.fluxcd.io/name", "Flux"),
    ("argocd.argoproj.io/tracking-id", "Argo CD"),
    ("argocd.argoproj.io/instance", "Argo CD"),
    ("reconcile.external-secrets.io/managed", "External Secrets"),
    ("reconcile.external-secrets.io/data-hash", "External Secrets"),
    ("meta.helm.sh/release-name", "Helm"),
];

/// Prefixes of field managers, and their tools.
const FIELD_MANAGERS: &[(&str, &str)] = &[
    ("kustomize-controller", "Flux"),
    ("helm-controller", "Flux"),
    ("argocd", "Argo CD"),
    ("external-secrets", "External Secrets"),
    ("externalsecrets.external-secrets.io", "External Secrets"),
    ("sealed-secrets", "Sealed Secrets"),
];

/// The tool that manages the object, and how that was detected.
pub(crate) fn find_manager(object: &ObjectMeta) -> Option<String> {
    let owner = object.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    if let Some(owner) = owner {
        return Some(format!("{} {} (owner reference)", owner.kind, owner.name));
    }
    for (kind, keys) in [("label", &object.labels), ("annotation", &object.annotations)] {
        let found = MARKER_KEYS.iter().find(|(mark, _)| keys.as_ref().is_some_and(|marks| marks.contains_key(*mark)));
        if let Some((key, tool)) = found {
            return Some(format!("{tool} ({kind} {key})"));
        }
    }
    let mut managers = object.managed_fields.iter().flatten().filter_map(|entry| entry.manager.as_deref());
    managers.find_map(|manager| {
        let (_, tool) = FIELD_MANAGERS.iter().find(|(beginning, _)| manager.starts_with(beginning))?;
        Some(format!("{tool} (field manager {manager})"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn manager_of(metadata: Value) -> Option<String> {
        find_manager(&serde_json::from_value(metadata).expect("metadata"))
    }

    #[test]
    fn owners_labels_annotations_and_field_managers_reveal_the_manager() {
        let owner = json!({ "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": "box", "uid": "u",
            "controller": true });
        for (metadata, expected) in [
            (json!({ "ownerReferences": [owner] }), "ExternalSecret box (owner reference)"),
            (
                json!({ "labels": { "kustomize.toolkit.fluxcd.io/name": "apps" } }),
                "Flux (label kustomize.toolkit.fluxcd.io/name)",
            ),
            (
                json!({ "annotations": { "argocd.argoproj.io/tracking-id": "x" } }),
                "Argo CD (annotation argocd.argoproj.io/tracking-id)",
            ),
            (
                json!({ "managedFields": [{ "manager": "kubectl" }, { "manager": "kustomize-controller" }] }),
                "Flux (field manager kustomize-controller)",
            ),
        ] {
            assert_eq!(manager_of(metadata).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_manually_created_secret_has_no_manager() {
        let by_hand = json!({ "labels": { "team": "backup" }, "managedFields": [{ "manager": "kubectl-boxsync" }] });
        assert_eq!(manager_of(by_hand), None);
    }
}
