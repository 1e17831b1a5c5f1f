//! The Secret with the credentials: read, and written so that everything else in it stays.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::api::ObjectMeta;
use secrecy::{ExposeSecret, SecretSlice};

use super::keeper;
use crate::{
    cli::{
        exit::Stop,
        site::{Site, writing},
        trouble::{self, Right},
    },
    cluster::Trouble,
};

/// What is to stand in the Secret, by key.
pub(super) type Content = BTreeMap<&'static str, SecretSlice<u8>>;

/// Tries of one write, where somebody else writes too. A grant that was not written would have to be given again.
const TRIES: usize = 3;

/// The Secret as it is now.
pub(super) struct Kept {
    pub(super) name: String,
    secret: Option<Secret>,
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrote {
    Created,
    Updated,
    Unchanged,
}

impl fmt::Display for Wrote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wrote::Created => "created",
            Wrote::Updated => "updated",
            Wrote::Unchanged => "unchanged",
        })
    }
}

impl Kept {
    /// What stands under a key, if anything does.
    pub(super) fn value(&self, key: &str) -> Option<SecretSlice<u8>> {
        let found = self.secret.as_ref()?.data.as_ref()?.get(key)?;
        Some(&found.0).filter(|bytes| !bytes.is_empty()).map(|bytes| SecretSlice::from(bytes.clone()))
    }

    pub(super) fn keeper(&self) -> Option<String> {
        keeper::of(&self.secret.as_ref()?.metadata)
    }

    /// Better told before somebody has granted access than afterwards.
    pub(super) fn writable(&self) -> Result<(), Stop> {
        match self.secret.as_ref().and_then(|secret| secret.immutable) {
            Some(true) => Err(Stop::trouble(format!(
                "Secret {} is immutable. Delete it and run this again, or name another Secret in spec.auth.",
                self.name
            ))),
            Some(false) | None => Ok(()),
        }
    }
}

pub(super) async fn read(site: &Site, name: &str) -> Result<Kept, Stop> {
    let api = site.cluster.api::<Secret>(&site.namespace);
    let secret = match site.cluster.call(api.get(name)).await {
        Ok(secret) => Some(secret),
        Err(Trouble::NotFound) => None,
        Err(other) => return Err(trouble::told(&other, &Right::to("get", "secrets", &site.namespace))),
    };
    Ok(Kept { name: name.to_owned(), secret })
}

/// Puts this into the Secret, which is created if it is not there.
pub(super) async fn write(site: &Site, kept: Kept, content: &Content) -> Result<Wrote, Stop> {
    let mut kept = kept;
    for _ in 1..TRIES {
        match put(site, &kept, content).await {
            Err((Trouble::Conflict, _)) => kept = read(site, &kept.name).await?,
            other => return other.map_err(|(trouble, verb)| unwritten(&trouble, verb, site)),
        }
    }
    put(site, &kept, content).await.map_err(|(trouble, verb)| unwritten(&trouble, verb, site))
}

fn unwritten(trouble: &Trouble, verb: &str, site: &Site) -> Stop {
    trouble::told(trouble, &Right::to(verb, "secrets", &site.namespace))
}

/// Replaces the version that was read, and no other. An error comes with the verb that failed.
async fn put(site: &Site, kept: &Kept, content: &Content) -> Result<Wrote, (Trouble, &'static str)> {
    let api = site.cluster.api::<Secret>(&site.namespace);
    let Some(old) = &kept.secret else {
        let metadata = ObjectMeta { name: Some(kept.name.clone()), ..ObjectMeta::default() };
        let new = filled(Secret { metadata, ..Secret::default() }, content);
        let created = site.cluster.call(api.create(&writing(), &new)).await;
        return created.map(|_| Wrote::Created).map_err(|e| (e, "create"));
    };
    let new = filled(old.clone(), content);
    if new == *old {
        return Ok(Wrote::Unchanged);
    }
    let updated = site.cluster.call(api.replace(&kept.name, &writing(), &new)).await;
    updated.map(|_| Wrote::Updated).map_err(|e| (e, "update"))
}

fn filled(mut secret: Secret, content: &Content) -> Secret {
    let data = secret.data.get_or_insert_default();
    for (key, value) in content {
        data.insert((*key).to_owned(), ByteString(value.expose_secret().to_vec()));
    }
    secret
}
