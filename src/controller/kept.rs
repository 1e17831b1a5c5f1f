//! What stands in the Secret in which the operator keeps the tokens of a user's authorization, and which of them to use.
//! Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::ResourceExt;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    api::{CONNECTION_LABEL, CONNECTION_UID},
    boxapi::{Grant, Unkept},
};

/// Whose turn it is to renew: an id of this renewal, which its process knows again.
const RENEWING: &str = "boxsync.dev/renewing";
const REFRESH: &str = "refreshToken";
const ACCESS: &str = "accessToken";
const ACCESS_EXPIRY: &str = "accessTokenExpiry";
const GRANTED: &str = "grantedTime";
/// SHA-256 of the refresh token that the kept ones descend from.
const SEED: &str = "seedDigest";
/// SHA-256 of a refresh token that Box refused although it was newer: the kept ones go on.
const REFUSED: &str = "refusedSeedDigest";

/// The content of the Secret.
#[derive(Clone, Default)]
pub(super) struct Kept {
    /// The UID of the connection that the tokens belong to; `None`: this is no Secret of ours.
    pub(super) owner: Option<String>,
    pub(super) seed: Option<String>,
    pub(super) refused: Option<String>,
    pub(super) renewing: Option<String>,
    pub(super) grant: Option<Grant>,
}

/// Which refresh token there is to spend.
pub(super) enum Spends {
    Kept(Grant),
    /// That of the user's Secret.
    Seed,
}

impl Kept {
    pub(super) fn of(secret: &Secret) -> Self {
        let data = secret.data.as_ref();
        let text = |key: &str| {
            let bytes = data.and_then(|d| d.get(key))?;
            String::from_utf8(bytes.0.clone()).ok().filter(|text| !text.is_empty())
        };
        let time = |key: &str| text(key).and_then(|t| t.parse::<Timestamp>().ok());
        let grant = text(REFRESH).map(|refresh| Grant {
            refresh: refresh.into(),
            access: text(ACCESS).unwrap_or_default().into(),
            access_until: time(ACCESS_EXPIRY).unwrap_or(Timestamp::MIN),
            granted: time(GRANTED).unwrap_or(Timestamp::UNIX_EPOCH),
        });
        let annotation = |key: &str| secret.annotations().get(key).cloned();
        Self {
            owner: annotation(CONNECTION_UID),
            seed: text(SEED),
            refused: text(REFUSED),
            renewing: annotation(RENEWING),
            grant,
        }
    }

    /// What is to be used by the connection of this UID whose own Secret has this seed. A new seed wins: somebody has
    /// authorized the app again.
    pub(super) fn choose(&self, uid: &str, seed: &str) -> Result<Spends, Unkept> {
        let known = [&self.seed, &self.refused].into_iter().any(|digest| digest.as_deref() == Some(seed));
        match (self.owner.as_deref(), &self.grant) {
            (None, _) => Err(Unkept::InTheWay),
            (Some(owner), _) if owner != uid && known => Err(Unkept::Elsewhere),
            (Some(owner), Some(grant)) if owner == uid && known => Ok(Spends::Kept(grant.clone())),
            (Some(_), Some(_) | None) => Ok(Spends::Seed),
        }
    }

    /// The Secret with this content; labels and annotations of others stay.
    pub(super) fn write(self, mut secret: Secret, connection: &str, owner: &OwnerReference) -> Secret {
        let Self { owner: uid, seed, refused, renewing, grant } = self;
        let mut data = BTreeMap::new();
        let mut put = |key: &str, text: Option<String>| {
            data.extend(text.map(|text| (key.to_owned(), ByteString(text.into_bytes()))));
        };
        put(SEED, seed);
        put(REFUSED, refused);
        if let Some(Grant { refresh, access, access_until, granted }) = grant {
            let shown = |secret: &SecretString| Some(secret.expose_secret().to_owned());
            put(REFRESH, shown(&refresh));
            put(ACCESS, shown(&access));
            put(ACCESS_EXPIRY, Some(access_until.to_string()));
            put(GRANTED, Some(granted.to_string()));
        }
        secret.data = Some(data);
        secret.metadata.owner_references = Some(vec![owner.clone()]);
        let annotations = secret.annotations_mut();
        for (key, text) in [(CONNECTION_UID, uid), (RENEWING, renewing)] {
            match text {
                Some(text) => annotations.insert(key.to_owned(), text),
                None => annotations.remove(key),
            };
        }
        let labels = secret.labels_mut();
        labels.insert(CONNECTION_LABEL.to_owned(), connection.to_owned());
        labels.insert("app.kubernetes.io/managed-by".to_owned(), "boxsync-operator".to_owned());
        secret
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        Grant {
            refresh: "refresh-1".into(),
            access: "access-1".into(),
            access_until: "2026-11-22T13:00:00Z".parse().expect("a time"),
            granted: "2026-11-22T12:00:00Z".parse().expect("a time"),
        }
    }

    fn kept() -> Kept {
        Kept { owner: Some("u1".to_owned()), seed: Some("s1".to_owned()), grant: Some(grant()), ..Kept::default() }
    }

    fn chosen(kept: &Kept, uid: &str, seed: &str) -> String {
        match kept.choose(uid, seed) {
            Ok(Spends::Kept(grant)) => grant.refresh.expose_secret().to_owned(),
            Ok(Spends::Seed) => "the seed".to_owned(),
            Err(why) => format!("{why:?}"),
        }
    }

    #[test]
    fn which_token_is_spent() {
        let refused = Kept { refused: Some("s0".to_owned()), ..kept() };
        let begun = Kept { grant: None, ..kept() };
        for (what, kept, uid, seed, expected) in [
            ("tokens of the same seed are used", kept(), "u1", "s1", "refresh-1"),
            ("a new seed wins", kept(), "u1", "s2", "the seed"),
            ("a seed that Box refused does not win again", refused.clone(), "u1", "s0", "refresh-1"),
            ("tokens of another connection are left alone", kept(), "u2", "s1", "Elsewhere"),
            ("a refused seed does not bring them here either", refused, "u2", "s0", "Elsewhere"),
            ("a new seed takes the place over", kept(), "u2", "s2", "the seed"),
            ("a renewal that never ended begins with the seed", begun.clone(), "u1", "s1", "the seed"),
            ("also where nothing was kept, the place may be another's", begun, "u2", "s1", "Elsewhere"),
            ("a Secret that is not ours is not touched", Kept::default(), "u1", "s1", "InTheWay"),
        ] {
            assert_eq!(chosen(&kept, uid, seed), expected, "{what}");
        }
    }

    #[test]
    fn what_is_written_reads_back_and_leaves_what_others_wrote() {
        let mut before = Secret::default();
        before.annotations_mut().insert("team".to_owned(), "backup".to_owned());
        let owner = OwnerReference { uid: "u1".to_owned(), ..OwnerReference::default() };
        let content = Kept { renewing: Some("r1".to_owned()), refused: Some("s0".to_owned()), ..kept() };
        let written = content.write(before, "acme", &owner);
        let read = Kept::of(&written);
        assert_eq!((read.owner.as_deref(), read.renewing.as_deref()), (Some("u1"), Some("r1")));
        assert_eq!((read.seed.as_deref(), read.refused.as_deref()), (Some("s1"), Some("s0")));
        let (read, grant) = (read.grant.expect("kept"), grant());
        assert_eq!(read.refresh.expose_secret(), grant.refresh.expose_secret());
        assert_eq!(read.access.expose_secret(), grant.access.expose_secret());
        assert_eq!((read.access_until, read.granted), (grant.access_until, grant.granted));
        assert_eq!(written.annotations()["team"], "backup");
        let ended = Kept { renewing: None, ..Kept::of(&written) }.write(written, "acme", &owner);
        assert_eq!(Kept::of(&ended).renewing, None);
    }
}
