//! YAML manifests that users apply.

pub(crate) fn connection_yaml(name: &str, enterprise: &str, method: &str, extra: &str) -> String {
    format!(
        "
apiVersion: boxsync.dev/v1alpha1
kind: BoxConnection
metadata:
  name: {name}
spec:
  enterpriseId: {enterprise:?}
  auth:
    {method}:
      secretRef:
        name: {name}
{extra}"
    )
}

pub(crate) fn request_yaml(connection: &str, extra: &str) -> String {
    format!(
        "
apiVersion: boxsync.dev/v1alpha1
kind: UserSyncRequest
metadata:
  generateName: {connection}-
spec:
  connectionRef:
    name: {connection}
{extra}"
    )
}
