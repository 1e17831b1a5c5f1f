//! What users write, as YAML.

pub(crate) fn connection(name: &str, enterprise: &str, method: &str, more: &str) -> String {
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
{more}"
    )
}

pub(crate) fn request(connection: &str, more: &str) -> String {
    format!(
        "
apiVersion: boxsync.dev/v1alpha1
kind: UserSyncRequest
metadata:
  generateName: {connection}-
spec:
  connectionRef:
    name: {connection}
{more}"
    )
}
