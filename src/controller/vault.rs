//! Keeps the tokens of a user's authorization in a Secret of the operator's own, and sees to it that one process at a
//! time renews them: the user's Secret is only where they began, and is never written.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
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

use super::{
    cluster::{Cluster, Trouble},
    kept::{Kept, Spends},
};
use crate::{
    api::BoxConnection,
    boxapi::{Grant, Keeper, Refused, Turn, Unkept},
    roster::digest_of,
    runtime::Shelter,
    signin::Names,
};

/// A call to Box ends after a minute; whoever has not ended a turn after this was ended itself.
const ABANDONED: Duration = Duration::from_secs(90);
/// How often is looked whether another one's turn is over.
const LOOK: Duration = Duration::from_secs(2);
/// How long is tried to write tokens down that Box has handed out.
const PATIENCE: Duration = Duration::from_secs(600);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The last refresh token that Box refused, by its digest: trying it again harms nothing and needs no turn, so that
/// nothing is written while a connection stays lost.
pub(super) type Dead = Arc<Mutex<Option<String>>>;

pub(super) struct Vault {
    cluster: Cluster,
    namespace: String,
    connection: String,
    uid: String,
    /// The name of the Secret.
    name: String,
    owner: OwnerReference,
    seed: SecretString,
    dead: Dead,
    shelter: Weak<Shelter>,
}

impl Vault {
    pub(super) fn new(
        cluster: Cluster,
        connection: &BoxConnection,
        seed: SecretString,
        dead: Dead,
        shelter: &Arc<Shelter>,
    ) -> Self {
        Self {
            cluster,
            namespace: connection.namespace().unwrap_or_default(),
            connection: connection.name_any(),
            uid: connection.uid().unwrap_or_default(),
            name: Names::of(connection).tokens(),
            owner: connection.controller_owner_ref(&()).unwrap_or_default(),
            seed,
            dead,
            shelter: Arc::downgrade(shelter),
        }
    }

    async fn read(&self) -> Result<Option<Secret>, Trouble> {
        match self.cluster.secret(&self.namespace, &self.name).await {
            Ok(secret) => Ok(Some(secret)),
            Err(Trouble::NotFound) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    async fn write(&self, before: Option<Secret>, content: Kept) -> Result<(), Trouble> {
        let new = before.is_none();
        let secret = before.unwrap_or_else(|| Secret {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.namespace.clone()),
                ..ObjectMeta::default()
            },
            ..Secret::default()
        });
        let secret = content.write(secret, &self.connection, &self.owner);
        match new {
            true => self.cluster.create_secret(&secret).await,
            false => self.cluster.replace_secret(&secret).await,
        }
    }

    fn spends(&self, kept: Option<&Kept>) -> Result<Spends, Unkept> {
        kept.map_or(Ok(Spends::Seed), |kept| kept.choose(&self.uid, &hash(&self.seed)))
    }

    async fn take_turn(&self) -> Result<Turn, Unkept> {
        let mut seen: Option<(Option<String>, Instant)> = None;
        loop {
            let secret = self.read().await.map_err(|trouble| unkept(&trouble))?;
            let kept = secret.as_ref().map(Kept::of);
            let spends = self.spends(kept.as_ref())?;
            let version = secret.as_ref().and_then(ResourceExt::resource_version);
            let since = match seen {
                Some((ref known, since)) if *known == version => since,
                Some(_) | None => Instant::now(),
            };
            seen = Some((version, since));
            let refresh = match &spends {
                Spends::Kept(grant) => grant.refresh.clone(),
                Spends::Seed => self.seed.clone(),
            };
            let turn = Turn { id: random(), refresh };
            if self.is_dead(&turn.refresh) {
                return Ok(turn);
            }
            if kept.as_ref().is_some_and(|k| k.renewing.is_some()) && since.elapsed() < ABANDONED {
                sleep(LOOK).await;
                continue;
            }
            let content = Kept {
                // What is kept stays another's until something better is.
                owner: kept.as_ref().map_or_else(|| Some(self.uid.clone()), |k| k.owner.clone()),
                renewing: Some(turn.id.clone()),
                ..kept.unwrap_or_default()
            };
            match self.write(secret, content).await {
                Ok(()) => return Ok(turn),
                Err(Trouble::Conflict) => {}
                Err(trouble) => return Err(unkept(&trouble)),
            }
        }
    }

    /// What the Secret should hold once this grant came of the turn; `None`: somebody else has gone further.
    fn renewed(&self, kept: Option<Kept>, turn: &Turn, grant: &Grant) -> Option<Kept> {
        let kept = kept.unwrap_or_default();
        let ours = kept.renewing.as_ref() == Some(&turn.id);
        let spent = kept.grant.as_ref().is_none_or(|g| same(&g.refresh, &turn.refresh));
        // Tokens that go on although a newer seed was refused descend from the older one still.
        let seed = Some(hash(&self.seed)).filter(|seed| kept.refused.as_ref() != Some(seed)).or(kept.seed);
        (ours || spent).then_some(Kept {
            owner: Some(self.uid.clone()),
            seed,
            refused: kept.refused,
            renewing: None,
            grant: Some(grant.clone()),
        })
    }

    async fn keep_once(&self, turn: &Turn, grant: &Grant) -> Result<(), Trouble> {
        let secret = self.read().await?;
        let kept = secret.as_ref().map(Kept::of);
        if kept.as_ref().and_then(|k| k.grant.as_ref()).is_some_and(|g| same(&g.refresh, &grant.refresh)) {
            return Ok(());
        }
        match self.renewed(kept, turn, grant) {
            Some(content) => self.write(secret, content).await,
            None => Ok(()),
        }
    }

    async fn end_turn(&self, turn: &Turn, refused: Option<&SecretString>) -> Result<(), Trouble> {
        loop {
            let Some(secret) = self.read().await? else { return Ok(()) };
            let kept = Kept::of(&secret);
            let ours = kept.renewing.as_ref() == Some(&turn.id);
            if !ours && refused.is_none() {
                return Ok(());
            }
            let content = Kept {
                renewing: if ours { None } else { kept.renewing.clone() },
                refused: refused.map(hash).or(kept.refused.clone()),
                ..kept
            };
            match self.write(Some(secret), content).await {
                Err(Trouble::Conflict) => {}
                ended => return ended,
            }
        }
    }

    async fn after_refusal(&self, turn: &Turn) -> Result<Refused, Unkept> {
        let kept = self.read().await.map_err(|trouble| unkept(&trouble))?.as_ref().map(Kept::of);
        let ours = kept.filter(|k| k.owner.as_ref() == Some(&self.uid));
        let other = ours.and_then(|k| k.grant).is_some_and(|g| !same(&g.refresh, &turn.refresh));
        let seed = same(&turn.refresh, &self.seed);
        let (next, refused) = match (other, seed) {
            (true, true) => (Refused::Older, Some(&self.seed)),
            (true, false) => (Refused::Renewed, None),
            (false, _) => (Refused::Nothing, None),
        };
        if next == Refused::Nothing {
            *self.dead.lock().unwrap_or_else(PoisonError::into_inner) = Some(hash(&turn.refresh));
        }
        self.end_turn(turn, refused).await.map_err(|trouble| unkept(&trouble))?;
        Ok(next)
    }

    fn is_dead(&self, refresh: &SecretString) -> bool {
        self.dead.lock().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(&hash(refresh))
    }
}

impl Keeper for Vault {
    fn kept(&self) -> BoxFuture<'_, Result<Option<Grant>, Unkept>> {
        async {
            let kept = self.read().await.map_err(|trouble| unkept(&trouble))?.as_ref().map(Kept::of);
            Ok(match self.spends(kept.as_ref())? {
                Spends::Kept(grant) => Some(grant),
                Spends::Seed => None,
            })
        }
        .boxed()
    }

    fn turn(&self) -> BoxFuture<'_, Result<Turn, Unkept>> {
        self.take_turn().boxed()
    }

    fn keep<'a>(&'a self, turn: &'a Turn, grant: &'a Grant) -> BoxFuture<'a, Result<(), Unkept>> {
        async {
            let (begun, mut pause) = (Instant::now(), FIRST_PAUSE);
            while let Err(trouble) = self.keep_once(turn, grant).await {
                if trouble == Trouble::Conflict {
                    continue;
                }
                tracing::error!(connection = self.named(), %trouble, "renewed tokens are not kept yet");
                if begun.elapsed() >= PATIENCE {
                    return Err(Unkept::Lost);
                }
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Ok(())
        }
        .boxed()
    }

    fn refused<'a>(&'a self, turn: &'a Turn) -> BoxFuture<'a, Result<Refused, Unkept>> {
        self.after_refusal(turn).boxed()
    }

    fn give_back<'a>(&'a self, turn: &'a Turn) -> BoxFuture<'a, ()> {
        async {
            if let Err(trouble) = self.end_turn(turn, None).await {
                tracing::warn!(connection = self.named(), %trouble, "the turn to renew tokens was not given back");
            }
        }
        .boxed()
    }

    fn shelter(&self, renewal: BoxFuture<'static, ()>) {
        // Without an owner the process is about to end; whoever waits hears that nothing came of it.
        if let Some(shelter) = self.shelter.upgrade() {
            shelter.take_in(renewal);
        }
    }
}

impl Vault {
    fn named(&self) -> String {
        format!("{}/{}", self.namespace, self.connection)
    }
}

fn unkept(trouble: &Trouble) -> Unkept {
    match trouble {
        Trouble::Forbidden(_) => Unkept::Denied,
        Trouble::NotFound
        | Trouble::NotServed
        | Trouble::Conflict
        | Trouble::Refused { .. }
        | Trouble::Unreachable(_) => Unkept::Unreachable,
    }
}

fn same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

fn hash(secret: &SecretString) -> String {
    digest_of(secret.expose_secret().as_bytes())
}

fn random() -> String {
    let mut bytes = [0_u8; 8];
    // A system without randomness could not talk TLS either.
    SystemRandom::new().fill(&mut bytes).expect("the system's randomness");
    digest_of(&bytes)[..16].to_owned()
}
