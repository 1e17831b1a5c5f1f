//! Reads and writes the Secret with the credentials; other keys are preserved.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::api::ObjectMeta;
use secrecy::{ExposeSecret, SecretSlice};

use super::managed_by;
use crate::{
    cli::{
        exit_code::CliError,
        kube_context::{KubeContext, post_params},
    },
    kube_client::KubeError,
};

/// The values to write into the Secret, by key.
pub(crate) type SecretData = BTreeMap<&'static str, SecretSlice<u8>>;

/// Attempts of one write, in case of conflicts. A lost authorization would have to be granted again.
const MAX_WRITE_ATTEMPTS: usize = 3;

/// The Secret before the write.
pub(crate) struct ExistingSecret {
    pub(crate) name: String,
    secret: Option<Secret>,
}

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteResult {
    Created,
    Updated,
    Unchanged,
}

impl fmt::Display for WriteResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WriteResult::Created => "created",
            WriteResult::Updated => "updated",
            WriteResult::Unchanged => "unchanged",
        })
    }
}

impl ExistingSecret {
    /// The value of a key, unless it is empty.
    pub(crate) fn value(&self, key: &str) -> Option<SecretSlice<u8>> {
        let found = self.secret.as_ref()?.data.as_ref()?.get(key)?;
        Some(&found.0).filter(|bytes| !bytes.is_empty()).map(|bytes| SecretSlice::from(bytes.clone()))
    }

    pub(crate) fn managed_by(&self) -> Option<String> {
        managed_by::find_manager(&self.secret.as_ref()?.metadata)
    }

    /// Checked before the authorization, which would otherwise be lost.
    pub(crate) fn check_writable(&self) -> Result<(), CliError> {
        match self.secret.as_ref().and_then(|secret| secret.immutable) {
            Some(true) => Err(CliError::error(format!(
                "Secret {} is immutable. Delete it and run this again, or name another Secret in spec.auth.",
                self.name
            ))),
            Some(false) | None => Ok(()),
        }
    }
}

pub(crate) async fn read_secret(kube: &KubeContext, name: &str) -> Result<ExistingSecret, CliError> {
    let secret = match kube.get_secret(name).await {
        Ok(secret) => Some(secret),
        Err(KubeError::NotFound) => None,
        Err(other) => return Err(kube.explain_error("get", "secrets")(other)),
    };
    Ok(ExistingSecret { name: name.to_owned(), secret })
}

/// Writes the values into the Secret, and creates it if necessary.
pub(crate) async fn write_secret(
    kube: &KubeContext,
    existing: ExistingSecret,
    content: &SecretData,
) -> Result<WriteResult, CliError> {
    let mut existing = existing;
    let mut attempts = 1;
    loop {
        match write_secret_once(kube, &existing, content).await {
            Err((KubeError::Conflict, _)) if attempts < MAX_WRITE_ATTEMPTS => {
                existing = read_secret(kube, &existing.name).await?;
                attempts += 1;
            }
            result => return result.map_err(|(error, verb)| kube.explain_error(verb, "secrets")(error)),
        }
    }
}

/// Replaces exactly the version that was read. An error has the verb that failed.
async fn write_secret_once(
    kube: &KubeContext,
    existing: &ExistingSecret,
    content: &SecretData,
) -> Result<WriteResult, (KubeError, &'static str)> {
    let api = kube.client.api::<Secret>(&kube.namespace);
    let Some(old) = &existing.secret else {
        let metadata = ObjectMeta { name: Some(existing.name.clone()), ..ObjectMeta::default() };
        let new = with_data(Secret { metadata, ..Secret::default() }, content);
        let created = kube.client.call(api.create(&post_params(), &new)).await;
        return created.map(|_| WriteResult::Created).map_err(|e| (e.without_values_of(&new), "create"));
    };
    let new = with_data(old.clone(), content);
    if new == *old {
        return Ok(WriteResult::Unchanged);
    }
    let updated = kube.client.call(api.replace(&existing.name, &post_params(), &new)).await;
    updated.map(|_| WriteResult::Updated).map_err(|e| (e.without_values_of(&new), "update"))
}

fn with_data(mut secret: Secret, content: &SecretData) -> Secret {
    let data = secret.data.get_or_insert_default();
    for (key, value) in content {
        data.insert((*key).to_owned(), ByteString(value.expose_secret().to_vec()));
    }
    secret
}
