//! Keeps the tokens of a user's authorization in a Secret of the operator's own, and sees to it that one process at a
//! time renews them: the user's Secret is only where they began, and is never written.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::{
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{Resource, ResourceExt};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, sleep};

use super::token_secret::{RefreshSource, TokenSecret};
use crate::{
    api::{BoxConnection, ExtraMetadata},
    auth::FailureContext,
    box_client::{AfterRejection, OAuthTokens, RefreshLock, TokenStore, TokenStoreError},
    controller::{
        kube_calls::{KubeClient, KubeError},
        refusal_messages::{RefusalMessage, RefusedWrite, refusal_message},
    },
    kube_client::Refusal,
    roster::sha256_hex,
};

/// A call to Box ends after a minute; whoever has not ended a turn after this was ended itself.
const LOCK_TIMEOUT: Duration = Duration::from_secs(90);
/// How often is looked whether another one's turn is over.
const LOCK_POLL_INTERVAL: Duration = Duration::from_secs(2);
/// How long the API server may deny the write of tokens that Box has issued. While it is unavailable, there is no limit:
/// until they are stored, the tokens exist only in this process.
const DENIED_SAVE_TIMEOUT: Duration = Duration::from_secs(600);
const INITIAL_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// The last refresh token that Box refused, by its digest: trying it again harms nothing and needs no turn, so that
/// nothing is written while a connection stays lost.
pub(crate) type RejectedToken = Arc<Mutex<Option<String>>>;

pub(crate) struct SecretTokenStore {
    cluster: KubeClient,
    namespace: String,
    connection: String,
    uid: String,
    /// The name of the Secret.
    secret_name: String,
    owner: OwnerReference,
    seed: SecretString,
    rejected_token: RejectedToken,
    extra_metadata: Arc<ExtraMetadata>,
}

impl SecretTokenStore {
    pub(crate) fn new(
        cluster: KubeClient,
        connection: &BoxConnection,
        seed: SecretString,
        rejected_token: RejectedToken,
    ) -> Self {
        Self {
            cluster,
            namespace: connection.namespace().unwrap_or_default(),
            connection: connection.name_any(),
            uid: connection.uid().unwrap_or_default(),
            secret_name: FailureContext::for_connection(connection).token_secret_name(),
            owner: connection.controller_owner_ref(&()).unwrap_or_default(),
            seed,
            rejected_token,
            extra_metadata: Arc::default(),
        }
    }

    /// The same store; its Secret has these labels and annotations as well.
    pub(crate) fn with_extra_metadata(self, extra_metadata: &Arc<ExtraMetadata>) -> Self {
        Self { extra_metadata: extra_metadata.clone(), ..self }
    }

    async fn read_secret(&self) -> Result<Option<Secret>, KubeError> {
        match self.cluster.get_secret(&self.namespace, &self.secret_name).await {
            Ok(secret) => Ok(Some(secret)),
            Err(KubeError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn write_secret(&self, current: Option<Secret>, content: TokenSecret) -> Result<(), KubeError> {
        let new = current.is_none();
        let mut secret = current.unwrap_or_else(|| Secret {
            metadata: ObjectMeta {
                name: Some(self.secret_name.clone()),
                namespace: Some(self.namespace.clone()),
                ..ObjectMeta::default()
            },
            ..Secret::default()
        });
        self.extra_metadata.apply_to(&mut secret.metadata);
        let secret = content.apply_to(secret, &self.connection, &self.owner);
        let written = match new {
            true => self.cluster.create_secret(&secret).await,
            false => self.cluster.replace_secret(&secret).await,
        };
        written.map_err(|error| error.without_values_of(&secret))
    }

    fn refresh_source(&self, stored: Option<&TokenSecret>) -> Result<RefreshSource, TokenStoreError> {
        stored.map_or(Ok(RefreshSource::Seed), |stored| stored.refresh_source(&self.uid, &token_digest(&self.seed)))
    }

    async fn acquire_lock(&self) -> Result<RefreshLock, TokenStoreError> {
        let mut last_version: Option<(Option<String>, Instant)> = None;
        loop {
            let secret = self.read_secret().await.map_err(|error| self.token_store_error(error))?;
            let stored = secret.as_ref().map(TokenSecret::from_secret);
            let source = self.refresh_source(stored.as_ref())?;
            let version = secret.as_ref().and_then(ResourceExt::resource_version);
            let since = match last_version {
                Some((ref known, since)) if *known == version => since,
                Some(_) | None => Instant::now(),
            };
            last_version = Some((version, since));
            let refresh = match &source {
                RefreshSource::Stored(grant) => grant.refresh_token.clone(),
                RefreshSource::Seed => self.seed.clone(),
            };
            let lock = RefreshLock { id: random_lock_id(), refresh_token: refresh };
            if self.is_rejected(&lock.refresh_token) {
                return Ok(lock);
            }
            if stored.as_ref().is_some_and(|k| k.lock_id.is_some()) && since.elapsed() < LOCK_TIMEOUT {
                sleep(LOCK_POLL_INTERVAL).await;
                continue;
            }
            let content = TokenSecret {
                // What is kept stays another's until something better is.
                owner: stored.as_ref().map_or_else(|| Some(self.uid.clone()), |k| k.owner.clone()),
                lock_id: Some(lock.id.clone()),
                ..stored.unwrap_or_default()
            };
            match self.write_secret(secret, content).await {
                Ok(()) => return Ok(lock),
                Err(KubeError::Conflict) => {}
                Err(error) => return Err(self.token_store_error(error)),
            }
        }
    }

    /// What the Secret should hold once this grant came of the turn; `None`: somebody else has gone further.
    fn secret_after_refresh(
        &self,
        stored: Option<TokenSecret>,
        lock: &RefreshLock,
        tokens: &OAuthTokens,
    ) -> Option<TokenSecret> {
        let stored = stored.unwrap_or_default();
        let ours = stored.lock_id.as_ref() == Some(&lock.id);
        let spent = stored.tokens.as_ref().is_none_or(|g| is_same_token(&g.refresh_token, &lock.refresh_token));
        // Tokens that go on although a newer seed was refused descend from the older one still.
        let seed = Some(token_digest(&self.seed))
            .filter(|seed| stored.rejected_seed_digest.as_ref() != Some(seed))
            .or(stored.seed_digest);
        (ours || spent).then_some(TokenSecret {
            owner: Some(self.uid.clone()),
            seed_digest: seed,
            rejected_seed_digest: stored.rejected_seed_digest,
            lock_id: None,
            tokens: Some(tokens.clone()),
        })
    }

    async fn try_save(&self, lock: &RefreshLock, tokens: &OAuthTokens) -> Result<(), KubeError> {
        let secret = self.read_secret().await?;
        let stored = secret.as_ref().map(TokenSecret::from_secret);
        if stored
            .as_ref()
            .and_then(|k| k.tokens.as_ref())
            .is_some_and(|g| is_same_token(&g.refresh_token, &tokens.refresh_token))
        {
            return Ok(());
        }
        match self.secret_after_refresh(stored, lock, tokens) {
            Some(content) => self.write_secret(secret, content).await,
            None => Ok(()),
        }
    }

    async fn release_lock(&self, lock: &RefreshLock, rejected: Option<&SecretString>) -> Result<(), KubeError> {
        loop {
            let Some(secret) = self.read_secret().await? else { return Ok(()) };
            let stored = TokenSecret::from_secret(&secret);
            let is_ours = stored.lock_id.as_ref() == Some(&lock.id);
            if !is_ours && rejected.is_none() {
                return Ok(());
            }
            let content = TokenSecret {
                lock_id: if is_ours { None } else { stored.lock_id.clone() },
                rejected_seed_digest: rejected.map(token_digest).or(stored.rejected_seed_digest.clone()),
                ..stored
            };
            match self.write_secret(Some(secret), content).await {
                Err(KubeError::Conflict) => {}
                ended => return ended,
            }
        }
    }

    async fn read_stored(&self) -> Result<Option<TokenSecret>, TokenStoreError> {
        let secret = self.read_secret().await.map_err(|error| self.token_store_error(error))?;
        Ok(secret.as_ref().map(TokenSecret::from_secret))
    }

    async fn handle_rejection(&self, lock: &RefreshLock) -> Result<AfterRejection, TokenStoreError> {
        let stored = self.read_stored().await?;
        let ours = stored.filter(|k| k.owner.as_ref() == Some(&self.uid));
        let other = ours.and_then(|k| k.tokens).is_some_and(|g| !is_same_token(&g.refresh_token, &lock.refresh_token));
        let seed = is_same_token(&lock.refresh_token, &self.seed);
        let (next, refused) = match (other, seed) {
            (true, true) => (AfterRejection::RetryPrevious, Some(&self.seed)),
            (true, false) => (AfterRejection::RetryNewer, None),
            (false, _) => (AfterRejection::GiveUp, None),
        };
        if next == AfterRejection::GiveUp {
            *self.rejected_token.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(token_digest(&lock.refresh_token));
        }
        self.release_lock(lock, refused).await.map_err(|error| self.token_store_error(error))?;
        Ok(next)
    }

    fn is_rejected(&self, refresh: &SecretString) -> bool {
        self.rejected_token.lock().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(&token_digest(refresh))
    }
}

impl TokenStore for SecretTokenStore {
    fn load(&self) -> BoxFuture<'_, Result<Option<OAuthTokens>, TokenStoreError>> {
        async {
            let stored = self.read_stored().await?;
            Ok(match self.refresh_source(stored.as_ref())? {
                RefreshSource::Stored(grant) => Some(grant),
                RefreshSource::Seed => None,
            })
        }
        .boxed()
    }

    fn lock(&self) -> BoxFuture<'_, Result<RefreshLock, TokenStoreError>> {
        self.acquire_lock().boxed()
    }

    fn save<'a>(
        &'a self,
        lock: &'a RefreshLock,
        tokens: &'a OAuthTokens,
    ) -> BoxFuture<'a, Result<(), TokenStoreError>> {
        // This process may have lost the leadership meanwhile, and the next leader spends the old refresh token once
        // the mark has expired. Box rejects it, and the connection is shown as AuthorizationExpired; but the old token
        // stays the stored one, so the new tokens still replace it here, and the next leader's probe finds them and
        // reconnects. If Box accepted the old token once more, newer tokens are stored, and these are dropped.
        async {
            let (mut denied_since, mut pause) = (None, INITIAL_BACKOFF);
            while let Err(error) = self.try_save(lock, tokens).await {
                if error.is_unavailable() {
                    denied_since = None;
                } else if error != KubeError::Conflict {
                    let since: &mut Instant = denied_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= DENIED_SAVE_TIMEOUT {
                        return Err(TokenStoreError::NotPersisted(self.not_persisted_because(error)));
                    }
                }
                tracing::error!(connection = self.log_name(), %error, "storing renewed tokens failed, retrying");
                sleep(pause).await;
                pause = (pause * 2).min(MAX_BACKOFF);
            }
            Ok(())
        }
        .boxed()
    }

    fn on_rejected<'a>(&'a self, lock: &'a RefreshLock) -> BoxFuture<'a, Result<AfterRejection, TokenStoreError>> {
        self.handle_rejection(lock).boxed()
    }

    fn unlock<'a>(&'a self, lock: &'a RefreshLock) -> BoxFuture<'a, ()> {
        async {
            if let Err(error) = self.release_lock(lock, None).await {
                tracing::warn!(connection = self.log_name(), %error, "the turn to renew tokens was not given back");
            }
        }
        .boxed()
    }
}

impl SecretTokenStore {
    fn log_name(&self) -> String {
        format!("{}/{}", self.namespace, self.connection)
    }

    fn token_store_error(&self, error: KubeError) -> TokenStoreError {
        match error {
            KubeError::Forbidden(right) => TokenStoreError::Forbidden(right),
            KubeError::Refused(refusal) => {
                let RefusalMessage { summary, remediation } = self.refused_write(&refusal);
                TokenStoreError::Refused { why: summary, remediation }
            }
            KubeError::Unauthenticated(_) | KubeError::Rejected { .. } => TokenStoreError::Refused {
                why: format!("Secret {} cannot be read or written: {error}.", self.secret_name),
                remediation: String::new(),
            },
            KubeError::NotFound
            | KubeError::UnknownKind
            | KubeError::Conflict
            | KubeError::TooManyRequests { .. }
            | KubeError::Unavailable { .. }
            | KubeError::Unreadable(_)
            | KubeError::Unreachable(_) => TokenStoreError::Unreachable,
        }
    }

    /// Why tokens that Box has issued are not stored, as sentences.
    fn not_persisted_because(&self, error: KubeError) -> String {
        match self.token_store_error(error) {
            TokenStoreError::Refused { why, remediation } => format!("{why} {remediation}").trim_end().to_owned(),
            other => format!("The reason: {other}."),
        }
    }

    fn refused_write(&self, refusal: &Refusal) -> RefusalMessage {
        let what = format!("Secret {}", self.secret_name);
        let write = RefusedWrite { what: &what, resource: "secrets", namespace: &self.namespace, needed: "" };
        refusal_message(refusal, write)
    }
}

fn is_same_token(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

fn token_digest(secret: &SecretString) -> String {
    sha256_hex(secret.expose_secret().as_bytes())
}

fn random_lock_id() -> String {
    let mut bytes = [0_u8; 8];
    // A system without randomness could not talk TLS either.
    SystemRandom::new().fill(&mut bytes).expect("the system's randomness");
    sha256_hex(&bytes)[..16].to_owned()
}
