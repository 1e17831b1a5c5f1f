//! Decrypts the private keys of JWT apps beside the asynchronous work of the process.

use std::{panic, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Secret;
use secrecy::SecretSlice;
use tokio::sync::Semaphore;

use super::{
    failure::Failure,
    failure_context::FailureContext,
    secret::{CONFIG_KEY, credentials_from_secret},
};
use crate::{
    api::AuthType,
    box_client::{Credentials, MAX_CONFIG_BYTES, MalformedCredentials},
};

/// The costliest accepted key takes up to three seconds of an idle processor.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Decrypts one private key at a time, on a thread of its own, so that the keys of all connections together take one
/// processor and the memory of one key derivation. A process has one; clones share it.
///
/// A thread cannot be stopped. After the time limit its result is dropped, but it keeps its turn until it ends by
/// itself, which the limits on the key ensure. Waiting connections have no time limit of their own. Each keeps no more than
/// its configuration file in memory.
#[derive(Clone)]
pub struct KeyDecryption {
    turn: Arc<Semaphore>,
    time_limit: Duration,
}

impl Default for KeyDecryption {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), time_limit: TIME_LIMIT }
    }
}

impl KeyDecryption {
    /// The validated credentials in a Secret.
    ///
    /// # Errors
    /// A key is missing, the content is malformed, the configuration file is for another enterprise, or decrypting its
    /// key takes too long.
    pub async fn parse_secret(
        &self,
        context: &FailureContext,
        method: AuthType,
        secret: Secret,
    ) -> Result<Credentials, Failure> {
        match method {
            AuthType::ClientCredentials | AuthType::Oauth2 => credentials_from_secret(context, method, secret),
            AuthType::Jwt => {
                let config = secret.data.unwrap_or_default().remove_entry(CONFIG_KEY);
                let too_large = config.as_ref().is_some_and(|(_, config)| config.0.len() > MAX_CONFIG_BYTES);
                let secret = Secret { data: config.map(|entry| [entry].into()), ..Secret::default() };
                if too_large {
                    // It is refused before its key is read, and is not to wait in memory.
                    return credentials_from_secret(context, method, secret);
                }
                let owned_context = context.clone();
                let parsed = self.run(move || credentials_from_secret(&owned_context, method, secret)).await;
                parsed.unwrap_or_else(|timed_out| Err(Failure::malformed_credentials(context, &timed_out)))
            }
        }
    }

    /// The credentials in an app's configuration file, as [`Credentials::jwt`].
    ///
    /// # Errors
    /// The file is malformed, or decrypting its key takes too long.
    pub async fn parse_jwt_config(&self, config_json: SecretSlice<u8>) -> Result<Credentials, MalformedCredentials> {
        self.run(move || Credentials::jwt(config_json)).await.unwrap_or_else(Err)
    }

    async fn run<T: Send + 'static>(
        &self,
        parse: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, MalformedCredentials> {
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let parsing = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            parse()
        });
        match tokio::time::timeout(self.time_limit, parsing).await {
            Ok(Ok(parsed)) => Ok(parsed),
            Ok(Err(error)) if error.is_panic() => panic::resume_unwind(error.into_panic()),
            // Cancelled: the process exits.
            Ok(Err(_)) | Err(_) => Err(MalformedCredentials::DecryptionTimedOut { seconds: self.time_limit.as_secs() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn key_decryption(time_limit: Duration) -> KeyDecryption {
        KeyDecryption { time_limit, ..KeyDecryption::default() }
    }

    #[tokio::test]
    async fn a_slow_decryption_blocks_no_other_task_and_ends_at_its_time_limit() {
        let decryption = key_decryption(Duration::from_millis(50));
        let (release, released) = mpsc::channel::<()>();
        // On the only thread of this runtime, nothing else would run.
        let slow = decryption.run(move || released.recv());
        assert_eq!(slow.await, Err(MalformedCredentials::DecryptionTimedOut { seconds: 0 }));
        release.send(()).expect("the thread still runs");
    }

    #[tokio::test]
    async fn one_key_is_decrypted_at_a_time_even_after_a_time_limit() {
        let decryption = key_decryption(Duration::from_millis(50));
        let (release, released) = mpsc::channel::<()>();
        let first = decryption.run(move || released.recv());
        assert!(first.await.is_err(), "the first takes too long");
        let second = decryption.run(|| ());
        tokio::pin!(second);
        let in_turn = tokio::time::timeout(Duration::from_millis(50), &mut second).await;
        assert!(in_turn.is_err(), "the first thread keeps its turn");
        release.send(()).expect("the thread still runs");
        assert_eq!(second.await, Ok(()));
    }

    #[tokio::test]
    #[should_panic(expected = "in the thread")]
    async fn a_panic_of_the_thread_reaches_its_caller() {
        KeyDecryption::default().run(|| panic!("in the thread")).await.ok();
    }
}
