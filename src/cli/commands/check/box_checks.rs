//! Box's gate, tried from here step by step: is it there, does it know us, does it open, and on what.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::{
    result::{CheckKind, CheckResult},
    runner::CheckRun,
};
use crate::{
    api::Reason,
    auth::{Failure, FailureContext},
    box_client::{self, Account, BaseUrl, Client, Credentials, ProxyConfig, TokenSource, Transport},
    cli::exit_code::CliError,
};

/// Longer than the client's own tries take, and as long as a person watches.
const CALL_TIMEOUT: Duration = Duration::from_secs(45);

/// What Box is shown.
pub(crate) enum BoxAuth {
    Credentials(Credentials),
    /// An access token that the operator keeps: shown, and never renewed from here.
    AccessToken(SecretString),
    /// The credentials say themselves that they belong to another enterprise.
    WrongEnterprise(Failure),
    /// Nothing, and why.
    Unavailable(String),
}

/// Tries all that concerns Box.
pub(crate) async fn run_box_checks(
    check_run: &mut CheckRun<'_, '_>,
    base: &BaseUrl,
    context: &FailureContext,
    auth: BoxAuth,
) -> Result<(), CliError> {
    let proxy = ProxyConfig::from_env().proxy_for(base);
    let reachability = match box_client::https_transport(env!("CARGO_PKG_VERSION")) {
        Ok(transport) => box_client::check_reachability(&transport, base).await.map(|reached| (transport, reached)),
        Err(error) => Err(error),
    };
    match reachability {
        Ok((transport, reachability)) => {
            let via = proxy.map_or_else(|| "without a proxy".to_owned(), |proxy| format!("through the proxy {proxy}"));
            check_run.add_result(CheckResult::pass(CheckKind::BoxApi, format!("{base} answers, {via}.")))?;
            let now = check_run.io.clock.now();
            check_run.add_result(CheckResult::from_clock(reachability.server_time, now))?;
            check_sign_in(check_run, transport, base, context, auth).await
        }
        Err(error) => {
            check_run.add_result(CheckResult::unreachable(&error, proxy.as_deref()))?;
            let why = "Not checked: Box cannot be reached from here.";
            check_run.skip_checks(&[CheckKind::Clock, CheckKind::Token], why)?;
            match auth {
                BoxAuth::WrongEnterprise(failure) => {
                    check_run.add_result(CheckResult::from_failure(CheckKind::Enterprise, &failure))?
                }
                BoxAuth::Credentials(_) | BoxAuth::AccessToken(_) | BoxAuth::Unavailable(_) => {
                    check_run.skip_checks(&[CheckKind::Enterprise], why)?
                }
            }
            check_run.skip_checks(&[CheckKind::UserList], why)
        }
    }
}

async fn check_sign_in(
    check_run: &mut CheckRun<'_, '_>,
    transport: Transport,
    base: &BaseUrl,
    context: &FailureContext,
    auth: BoxAuth,
) -> Result<(), CliError> {
    let clock = check_run.io.clock.clone();
    let (base, now) = (base.clone(), Arc::new(move || clock.now()));
    let why = match auth {
        BoxAuth::Credentials(credentials) => {
            let context = FailureContext { client_id: Some(credentials.client_id().to_owned()), ..context.clone() };
            let session = TokenSource::new(transport, base, credentials, context.enterprise.clone(), now);
            let client = Client::new(&session, CancellationToken::new());
            return check_with_credentials(check_run, &client, &context).await;
        }
        BoxAuth::AccessToken(token) => match TokenSource::with_access_token(transport, base, token, now) {
            Ok(session) => {
                let client = Client::new(&session, CancellationToken::new());
                return check_with_access_token(check_run, &client, context).await;
            }
            Err(_) => "Not checked: what is stored as the access token is none. The operator renews it when it next needs one.".to_owned(),
        },
        BoxAuth::WrongEnterprise(failure) => {
            let why = "Not checked: the credentials are those of another enterprise.";
            check_run.skip_checks(&[CheckKind::Token], why)?;
            check_run.add_result(CheckResult::from_failure(CheckKind::Enterprise, &failure))?;
            return check_run.skip_checks(&[CheckKind::UserList], why);
        }
        BoxAuth::Unavailable(why) => why,
    };
    check_run.skip_checks(&[CheckKind::Token, CheckKind::Enterprise, CheckKind::UserList], &why)
}

/// With the credentials themselves.
async fn check_with_credentials(
    check_run: &mut CheckRun<'_, '_>,
    client: &Client,
    context: &FailureContext,
) -> Result<(), CliError> {
    if let Err(failure) = call_box(context, client.sign_in()).await {
        check_run.add_result(CheckResult::from_failure(CheckKind::Token, &failure))?;
        return check_run
            .skip_checks(&[CheckKind::Enterprise, CheckKind::UserList], "Not checked: Box gives no token.");
    }
    let client_id = context.client_id.as_deref().unwrap_or_default();
    let message = format!("Box gives a token to the app with client id {client_id}.");
    check_run.add_result(CheckResult::pass(CheckKind::Token, message))?;
    match call_box(context, client.get_account()).await {
        Ok(account) => check_account(check_run, client, context, account).await,
        Err(failure) => {
            check_run.add_result(CheckResult::from_failure(CheckKind::Enterprise, &failure))?;
            check_run.skip_checks(&[CheckKind::UserList], "Not checked: Box does not say who we are.")
        }
    }
}

/// With the access token that the operator keeps.
async fn check_with_access_token(
    check_run: &mut CheckRun<'_, '_>,
    client: &Client,
    context: &FailureContext,
) -> Result<(), CliError> {
    let failure = match call_box(context, client.get_account()).await {
        Ok(account) => {
            let message = "Box takes the access token that the operator keeps. A new one is not asked for from here: a refresh token works once, and is the operator's.";
            check_run.add_result(CheckResult::pass(CheckKind::Token, message))?;
            return check_account(check_run, client, context, account).await;
        }
        Err(failure) => failure,
    };
    if failure.reason == Reason::AuthorizationExpired {
        // It lives an hour, and the operator renews it only when it needs one: this is no fault.
        let why = "Not checked: the access token that the operator keeps has run out, and a new one is not asked for from here, since a refresh token works once. The operator renews it when it next needs one.";
        return check_run.skip_checks(&[CheckKind::Token, CheckKind::Enterprise, CheckKind::UserList], why);
    }
    check_run.add_result(CheckResult::from_failure(CheckKind::Token, &failure))?;
    check_run.skip_checks(&[CheckKind::Enterprise, CheckKind::UserList], "Not checked: Box does not let us in.")
}

/// Box knows us: whose it takes us for, and what it lets us see.
async fn check_account(
    check_run: &mut CheckRun<'_, '_>,
    client: &Client,
    context: &FailureContext,
    account: Account,
) -> Result<(), CliError> {
    match account.enterprise {
        Some(found) if found.id == context.enterprise => {
            let name = if found.name.is_empty() { String::new() } else { format!(" ({})", found.name) };
            let message = format!("The credentials are those of enterprise {}{name}.", found.id);
            check_run.add_result(CheckResult::pass(CheckKind::Enterprise, message))?;
        }
        other => {
            let found = other.as_ref().map(|e| (e.id.as_str(), e.name.as_str()));
            check_run.add_result(CheckResult::from_failure(
                CheckKind::Enterprise,
                &Failure::enterprise_mismatch(context, found),
            ))?;
            return check_run.skip_checks(&[CheckKind::UserList], "Not checked: it would be another enterprise's.");
        }
    }
    match call_box(context, client.check_list_access()).await {
        Ok(()) => check_run.add_result(CheckResult::pass(CheckKind::UserList, "Box lets the app list users.")),
        Err(failure) => check_run.add_result(CheckResult::from_failure(CheckKind::UserList, &failure)),
    }
}

/// What Box answered, in the operator's own words where it is no.
async fn call_box<T>(
    context: &FailureContext,
    call: impl Future<Output = Result<T, box_client::Error>>,
) -> Result<T, Failure> {
    let timeout_failure = || {
        let summary = format!("Box gave no usable answer within {} s.", CALL_TIMEOUT.as_secs());
        Failure::new(Reason::BoxUnavailable, summary, "")
    };
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(answer) => answer.map_err(|error| Failure::from_box_error(context, &error).unwrap_or_else(timeout_failure)),
        Err(_) => Err(timeout_failure()),
    }
}
