//! Signing in to Box: reads the Secret, verifies its credentials and checks the enterprise.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    failure_messages::{Failure, FailureContext},
    plan_input::status_of,
    state::{CachedSession, CredentialsVersion},
    sync_outcome::SignedIn,
};
use crate::{
    api::{AuthType, BoxApp, BoxConnection, ConditionStatus, ConditionsExt, FailureClass},
    auth::SignIn,
    box_client::Client,
    controller::{context::Context, kube_calls::KubeError},
    roster::sha256_hex,
};

/// An API server that has just started denies what it allows once it has loaded its RBAC rules; one retry covers that.
const RBAC_RETRY_DELAY: Duration = Duration::from_secs(1);

/// What a sign-in verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignInCheck {
    /// A cached token suffices: the listing will show whether it works.
    CachedToken,
    /// The credentials themselves, by requesting a new token.
    NewToken,
}

/// A successful sign-in.
pub(crate) struct SignInSuccess {
    pub(crate) client: Client,
    pub(crate) signed_in: SignedIn,
    pub(crate) failure_context: FailureContext,
    /// Why the Secret's new content was rejected, where the previous credentials are used instead.
    pub(crate) fallback_cause: Option<Failure>,
    /// Calls made to Box with rejected credentials before.
    pub(crate) prior_calls: u32,
}

/// Why a sign-in failed.
#[derive(Debug)]
pub(crate) enum SignInError {
    /// A failure of the connection.
    Failed(SignInFailure),
    /// The run is being stopped.
    Cancelled,
}

/// A failed sign-in.
#[derive(Debug)]
pub(crate) struct SignInFailure {
    pub(crate) failure: Failure,
    /// The app that the credentials name, as far as they could be read.
    pub(crate) app: Option<BoxApp>,
    pub(crate) calls: u32,
}

/// The credentials for a sign-in, as the Secret has them. What is left to do calls only Box.
pub(crate) enum PreparedSignIn {
    Parsed(CachedSession),
    /// They cannot be used.
    Invalid(CredentialsVersion, Failure),
    /// There is no Secret.
    Missing(CredentialsVersion, Failure),
    /// No Secret is to be read, or it cannot be.
    Unreadable(Failure),
}

/// Reads the version of the Secret.
pub(crate) async fn check_secret(context: &Context, connection: &BoxConnection) -> Result<(), KubeError> {
    // Even after an error, the next check is a minute away.
    context.with_state(connection, |state| state.secret_checked_at = Some(Instant::now()));
    let Some((method, secret_name)) = connection.spec.auth.selected_method() else { return Ok(()) };
    let namespace = connection.namespace().unwrap_or_default();
    let secret = match context.cluster.get_secret(&namespace, secret_name).await {
        Ok(secret) => Some(secret),
        Err(KubeError::NotFound) => None,
        Err(error) => return Err(error),
    };
    let version = credentials_version(connection, method, secret_name, secret.as_ref());
    context.with_state(connection, |state| state.record_secret_version(&version));
    Ok(())
}

/// Reads the Secret and parses the credentials in it.
///
/// # Errors
/// The API server failed; nothing is known of the connection.
pub(crate) async fn prepare(context: &Context, connection: &BoxConnection) -> Result<PreparedSignIn, KubeError> {
    let failure_context = FailureContext::for_connection(connection);
    let Some((method, secret_name)) = connection.spec.auth.selected_method() else {
        return Ok(PreparedSignIn::Unreadable(Failure::invalid_auth_method(&failure_context)));
    };
    if method == AuthType::Oauth2 && !context.options.oauth {
        return Ok(PreparedSignIn::Unreadable(Failure::oauth_disabled(&failure_context)));
    }
    let secret = match read_credentials_secret(context, connection, secret_name).await {
        Ok(secret) => Some(secret),
        Err(KubeError::NotFound) => None,
        Err(KubeError::Unauthenticated(answer)) => {
            return Ok(PreparedSignIn::Unreadable(Failure::unauthenticated(&answer)));
        }
        Err(KubeError::Forbidden(right)) => {
            return Ok(PreparedSignIn::Unreadable(Failure::secret_forbidden(&failure_context, &right)));
        }
        Err(KubeError::Unavailable { code, message } | KubeError::Rejected { code, message }) => {
            return Ok(PreparedSignIn::Unreadable(Failure::secret_unreadable(&failure_context, code, &message)));
        }
        Err(
            error @ (KubeError::Conflict
            | KubeError::UnknownKind
            | KubeError::Refused(_)
            | KubeError::TooManyRequests { .. }
            | KubeError::Unreadable(_)
            | KubeError::Unreachable(_)),
        ) => return Err(error),
    };
    let version = credentials_version(connection, method, secret_name, secret.as_ref());
    let known = context.with_state(connection, |state| {
        state.record_secret_version(&version);
        let sessions = [&state.cached_session, &state.parsed_session];
        sessions.into_iter().flatten().find(|session| session.version == version).cloned()
    });
    tracing::debug!(secret = secret_name, found = secret.is_some(), "credentials read");
    if let Some(session) = known {
        return Ok(PreparedSignIn::Parsed(session));
    }
    let Some(secret) = secret else {
        return Ok(PreparedSignIn::Missing(version, Failure::missing_secret(&failure_context)));
    };
    let resource_version = secret.resource_version().unwrap_or_default();
    match context.key_decryption.parse_secret(&failure_context, method, secret).await {
        Ok(credentials) => {
            let session = CachedSession {
                version,
                resource_version,
                client_id: credentials.client_id().to_owned(),
                session: context.token_source(connection, credentials),
            };
            context.with_state(connection, |state| state.parsed_session = Some(session.clone()));
            Ok(PreparedSignIn::Parsed(session))
        }
        Err(failure) => Ok(PreparedSignIn::Invalid(version, failure)),
    }
}

/// Signs in with the Secret's content. If new content is rejected, the previous credentials stay in use while their token
/// is valid.
pub(crate) async fn sign_in(
    context: &Context,
    connection: &BoxConnection,
    prepared: &PreparedSignIn,
    check: SignInCheck,
    stop: &CancellationToken,
) -> Result<SignInSuccess, SignInError> {
    let (version, session) = match prepared {
        PreparedSignIn::Unreadable(failure) => return Err(failed_before_sign_in(failure.clone())),
        PreparedSignIn::Missing(version, failure) => {
            context.with_state(connection, |state| {
                state.record_sign_in(version);
                state.cached_session = None;
            });
            return Err(failed_before_sign_in(failure.clone()));
        }
        PreparedSignIn::Invalid(version, failure) => (version, Err(failure)),
        PreparedSignIn::Parsed(session) => (&session.version, Ok(session)),
    };
    let cached = context.with_state(connection, |state| {
        state.record_sign_in(version);
        state.cached_session.clone()
    });
    let new = match session {
        Ok(session) => session,
        Err(failure) => {
            let sign_in_failure = SignInFailure { failure: failure.clone(), app: None, calls: 0 };
            return sign_in_with_previous(context, connection, cached, version, sign_in_failure, stop).await;
        }
    };
    if cached.as_ref().is_some_and(|held| held.version == *version) {
        return verify_sign_in(context, connection, new, check, stop).await;
    }
    let known = was_accepted(connection, version, &new.resource_version);
    let check = if known { check } else { SignInCheck::NewToken };
    match verify_sign_in(context, connection, new, check, stop).await {
        Ok(success) => {
            context.with_state(connection, |state| {
                state.cached_session = Some(new.clone());
                state.parsed_session = None;
            });
            Ok(success)
        }
        Err(SignInError::Failed(sign_in_failure))
            if sign_in_failure.failure.reason.failure_class() == FailureClass::Disconnected =>
        {
            sign_in_with_previous(context, connection, cached, version, sign_in_failure, stop).await
        }
        Err(error) => Err(error),
    }
}

/// Falls back to the previous credentials after the Secret's new content was rejected.
async fn sign_in_with_previous(
    context: &Context,
    connection: &BoxConnection,
    cached: Option<CachedSession>,
    new: &CredentialsVersion,
    sign_in_failure: SignInFailure,
    stop: &CancellationToken,
) -> Result<SignInSuccess, SignInError> {
    let connected = status_of(connection).conditions.has_status("Connected", ConditionStatus::True);
    let usable = cached.filter(|held| {
        let same = held.version.method == new.method
            && held.version.secret_name == new.secret_name
            && held.version.user_id == new.user_id;
        connected && same && held.session.has_valid_token()
    });
    let Some(cached) = usable else { return Err(SignInError::Failed(sign_in_failure)) };
    match verify_sign_in(context, connection, &cached, SignInCheck::CachedToken, stop).await {
        Ok(success) => Ok(SignInSuccess {
            fallback_cause: Some(sign_in_failure.failure),
            prior_calls: sign_in_failure.calls,
            ..success
        }),
        Err(SignInError::Failed(previous_failure)) => {
            // A transient error does not mean that the previous credentials are rejected as well.
            let calls = sign_in_failure.calls + previous_failure.calls;
            let lost = previous_failure.failure.reason.failure_class() == FailureClass::Disconnected;
            Err(SignInError::Failed(SignInFailure { calls, ..if lost { sign_in_failure } else { previous_failure } }))
        }
        Err(error) => Err(error),
    }
}

async fn read_credentials_secret(
    context: &Context,
    connection: &BoxConnection,
    secret: &str,
) -> Result<Secret, KubeError> {
    let namespace = connection.namespace().unwrap_or_default();
    match context.cluster.get_secret(&namespace, secret).await {
        Err(error) if error.denies_sender() => {
            tokio::time::sleep(RBAC_RETRY_DELAY).await;
            context.cluster.get_secret(&namespace, secret).await
        }
        read => read,
    }
}

/// A failure before the first call to Box.
fn failed_before_sign_in(failure: Failure) -> SignInError {
    SignInError::Failed(SignInFailure { failure, app: None, calls: 0 })
}

fn credentials_version(
    connection: &BoxConnection,
    method: AuthType,
    secret_name: &str,
    secret: Option<&Secret>,
) -> CredentialsVersion {
    let data = secret.map(|s| s.data.iter().flatten());
    // A digest over digests, so that the boundaries between values count.
    let content =
        data.map(|data| data.map(|(key, value)| format!("{key}={}\n", sha256_hex(&value.0))).collect::<String>());
    CredentialsVersion {
        method,
        secret_name: secret_name.to_owned(),
        user_id: connection.spec.auth.user_id().map(str::to_owned),
        content: content.map(|c| sha256_hex(c.as_bytes())),
    }
}

/// Whether Box has accepted this version of the Secret before, possibly from another process.
fn was_accepted(connection: &BoxConnection, version: &CredentialsVersion, resource_version: &str) -> bool {
    status_of(connection).credentials.as_ref().is_some_and(|c| {
        c.method == version.method.as_str()
            && c.secret_name == version.secret_name
            && c.resource_version == resource_version
            && c.user_id == version.user_id
    })
}

/// Signs in with a session and checks the enterprise.
async fn verify_sign_in(
    context: &Context,
    connection: &BoxConnection,
    cached: &CachedSession,
    check: SignInCheck,
    stop: &CancellationToken,
) -> Result<SignInSuccess, SignInError> {
    let app = BoxApp { client_id: cached.client_id.clone(), auth_type: cached.version.method.as_str().to_owned() };
    let sign_in = SignIn {
        client: Client::new(&cached.session, stop.clone()).with_observer(context.call_observer(connection)),
        context: FailureContext::for_connection(connection).with_client_id(&cached.client_id),
    };
    let verified = async {
        match check {
            SignInCheck::CachedToken => {}
            SignInCheck::NewToken => sign_in.request_token().await?,
        }
        sign_in.verify_account().await
    };
    let verified = verified.await;
    let SignIn { client, context: failure_context } = sign_in;
    let (account, enterprise) = match verified {
        Ok(verified) => verified,
        Err(failure) => {
            let Some(failure) = failure else { return Err(SignInError::Cancelled) };
            let wait = failure.retry_after.map(|wait| Instant::now() + wait);
            context.with_state(connection, |state| state.retry_allowed_at = wait);
            return Err(SignInError::Failed(SignInFailure { failure, app: Some(app), calls: client.call_count() }));
        }
    };
    context.with_state(connection, |state| state.retry_allowed_at = None);
    let fallback_cause =
        cached.session.take_fallback_cause().and_then(|error| Failure::from_box_error(&failure_context, &error));
    // The status keeps the accepted version if newer content was rejected.
    let before = status_of(connection).credentials.as_ref().filter(|_| fallback_cause.is_some());
    let resource_version = before.map_or(&cached.resource_version, |c| &c.resource_version).clone();
    let signed_in = SignedIn {
        enterprise,
        account,
        app,
        method: cached.version.method,
        secret_name: cached.version.secret_name.clone(),
        resource_version,
        user_id: cached.version.user_id.clone(),
        authorization_expiration: cached.session.refresh_expires_at(),
    };
    Ok(SignInSuccess { client, signed_in, failure_context, fallback_cause, prior_calls: 0 })
}
