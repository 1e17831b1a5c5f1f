//! The content of the Secret that stores the tokens of a user's authorization, and which of them to use. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::ResourceExt;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    api::{CONNECTION_LABEL, CONNECTION_UID_ANNOTATION},
    box_client::{OAuthTokens, TokenStoreError},
};

/// The lock for a refresh: an id that only its own process knows.
const LOCK_ANNOTATION: &str = "boxsync.dev/renewing";
/// The operator writes none longer than a token; others can write the Secret too.
const MAX_VALUE_BYTES: usize = 8 << 10;
const REFRESH: &str = "refreshToken";
const ACCESS: &str = "accessToken";
const ACCESS_EXPIRY: &str = "accessTokenExpiry";
const GRANTED: &str = "grantedTime";
/// SHA-256 of the refresh token that the stored ones descend from.
const SEED: &str = "seedDigest";
/// SHA-256 of a newer refresh token that Box rejected: the stored ones stay in use.
const REFUSED: &str = "refusedSeedDigest";

/// The content of the Secret.
#[derive(Clone, Default)]
pub(crate) struct TokenSecret {
    /// The UID of the connection that the tokens belong to; `None`: the operator does not own this Secret.
    pub(crate) owner: Option<String>,
    pub(crate) seed_digest: Option<String>,
    pub(crate) rejected_seed_digest: Option<String>,
    pub(crate) lock_id: Option<String>,
    pub(crate) tokens: Option<OAuthTokens>,
}

/// Which refresh token there is to spend.
pub(crate) enum RefreshSource {
    Stored(OAuthTokens),
    /// That of the user's Secret.
    Seed,
}

impl TokenSecret {
    pub(crate) fn from_secret(secret: &Secret) -> Self {
        let data = secret.data.as_ref();
        let text = |key: &str| {
            let bytes = data.and_then(|d| d.get(key))?;
            let bytes = Some(&bytes.0).filter(|bytes| (1..=MAX_VALUE_BYTES).contains(&bytes.len()))?;
            String::from_utf8(bytes.clone()).ok()
        };
        let time = |key: &str| text(key).and_then(|t| t.parse::<Timestamp>().ok());
        let tokens = text(REFRESH).map(|refresh| OAuthTokens {
            refresh_token: refresh.into(),
            access_token: text(ACCESS).unwrap_or_default().into(),
            access_expires_at: time(ACCESS_EXPIRY).unwrap_or(Timestamp::MIN),
            issued_at: time(GRANTED).unwrap_or(Timestamp::UNIX_EPOCH),
        });
        let annotation = |key: &str| secret.annotations().get(key).cloned();
        Self {
            owner: annotation(CONNECTION_UID_ANNOTATION),
            seed_digest: text(SEED),
            rejected_seed_digest: text(REFUSED),
            lock_id: annotation(LOCK_ANNOTATION),
            tokens,
        }
    }

    /// The token to use for the connection of this UID with this seed in its own Secret. A new seed wins: the app was
    /// authorized again.
    pub(crate) fn refresh_source(&self, uid: &str, seed_digest: &str) -> Result<RefreshSource, TokenStoreError> {
        let known = [&self.seed_digest, &self.rejected_seed_digest]
            .into_iter()
            .any(|digest| digest.as_deref() == Some(seed_digest));
        match (self.owner.as_deref(), &self.tokens) {
            (None, _) => Err(TokenStoreError::ForeignSecret),
            (Some(owner), _) if owner != uid && known => Err(TokenStoreError::OwnedByOther),
            (Some(owner), Some(grant)) if owner == uid && known => Ok(RefreshSource::Stored(grant.clone())),
            (Some(_), Some(_) | None) => Ok(RefreshSource::Seed),
        }
    }

    /// The Secret with this content; labels and annotations of others stay.
    pub(crate) fn apply_to(self, mut secret: Secret, connection: &str, owner: &OwnerReference) -> Secret {
        let Self { owner: uid, seed_digest, rejected_seed_digest, lock_id, tokens } = self;
        let mut data = BTreeMap::new();
        let mut put = |key: &str, text: Option<String>| {
            data.extend(text.map(|text| (key.to_owned(), ByteString(text.into_bytes()))));
        };
        put(SEED, seed_digest);
        put(REFUSED, rejected_seed_digest);
        if let Some(OAuthTokens {
            refresh_token: refresh,
            access_token: access,
            access_expires_at: access_until,
            issued_at: granted,
        }) = tokens
        {
            let expose = |secret: &SecretString| Some(secret.expose_secret().to_owned());
            put(REFRESH, expose(&refresh));
            put(ACCESS, expose(&access));
            put(ACCESS_EXPIRY, Some(access_until.to_string()));
            put(GRANTED, Some(granted.to_string()));
        }
        secret.data = Some(data);
        secret.metadata.owner_references = Some(vec![owner.clone()]);
        let annotations = secret.annotations_mut();
        for (key, text) in [(CONNECTION_UID_ANNOTATION, uid), (LOCK_ANNOTATION, lock_id)] {
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

    fn sample_tokens() -> OAuthTokens {
        OAuthTokens {
            refresh_token: "refresh-1".into(),
            access_token: "access-1".into(),
            access_expires_at: "2026-11-22T13:00:00Z".parse().expect("a time"),
            issued_at: "2026-11-22T12:00:00Z".parse().expect("a time"),
        }
    }

    fn stored_tokens() -> TokenSecret {
        TokenSecret {
            owner: Some("u1".to_owned()),
            seed_digest: Some("s1".to_owned()),
            tokens: Some(sample_tokens()),
            ..TokenSecret::default()
        }
    }

    fn chosen_token(stored: &TokenSecret, uid: &str, seed: &str) -> String {
        match stored.refresh_source(uid, seed) {
            Ok(RefreshSource::Stored(grant)) => grant.refresh_token.expose_secret().to_owned(),
            Ok(RefreshSource::Seed) => "the seed".to_owned(),
            Err(why) => format!("{why:?}"),
        }
    }

    #[test]
    fn the_right_refresh_token_is_used() {
        let refused = TokenSecret { rejected_seed_digest: Some("s0".to_owned()), ..stored_tokens() };
        let begun = TokenSecret { tokens: None, ..stored_tokens() };
        for (what, stored, uid, seed, expected) in [
            ("tokens of the same seed are used", stored_tokens(), "u1", "s1", "refresh-1"),
            ("a new seed wins", stored_tokens(), "u1", "s2", "the seed"),
            ("a seed that Box refused does not win again", refused.clone(), "u1", "s0", "refresh-1"),
            ("tokens of another connection are left alone", stored_tokens(), "u2", "s1", "OwnedByOther"),
            ("a refused seed does not bring them here either", refused, "u2", "s0", "OwnedByOther"),
            ("a new seed takes the place over", stored_tokens(), "u2", "s2", "the seed"),
            ("a renewal that never ended begins with the seed", begun.clone(), "u1", "s1", "the seed"),
            ("also where nothing was kept, the place may be another's", begun, "u2", "s1", "OwnedByOther"),
            ("a Secret that is not ours is not touched", TokenSecret::default(), "u1", "s1", "ForeignSecret"),
        ] {
            assert_eq!(chosen_token(&stored, uid, seed), expected, "{what}");
        }
    }

    #[test]
    fn a_written_secret_reads_back_and_keeps_foreign_metadata() {
        let mut before = Secret::default();
        before.annotations_mut().insert("team".to_owned(), "backup".to_owned());
        let owner = OwnerReference { uid: "u1".to_owned(), ..OwnerReference::default() };
        let content = TokenSecret {
            lock_id: Some("r1".to_owned()),
            rejected_seed_digest: Some("s0".to_owned()),
            ..stored_tokens()
        };
        let written = content.apply_to(before, "acme", &owner);
        let read = TokenSecret::from_secret(&written);
        assert_eq!((read.owner.as_deref(), read.lock_id.as_deref()), (Some("u1"), Some("r1")));
        assert_eq!((read.seed_digest.as_deref(), read.rejected_seed_digest.as_deref()), (Some("s1"), Some("s0")));
        let (read, grant) = (read.tokens.expect("kept"), sample_tokens());
        assert_eq!(read.refresh_token.expose_secret(), grant.refresh_token.expose_secret());
        assert_eq!(read.access_token.expose_secret(), grant.access_token.expose_secret());
        assert_eq!((read.access_expires_at, read.issued_at), (grant.access_expires_at, grant.issued_at));
        assert_eq!(written.annotations()["team"], "backup");
        let ended =
            TokenSecret { lock_id: None, ..TokenSecret::from_secret(&written) }.apply_to(written, "acme", &owner);
        assert_eq!(TokenSecret::from_secret(&ended).lock_id, None);
    }
}
