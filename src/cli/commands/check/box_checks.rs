//! The checks that call Box, step by step: reachability, sign-in, enterprise, access to the user list.

use std::time::Duration;

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::{
    result::{CheckKind, CheckResult},
    runner::CheckRun,
};
use crate::{
    api::{BoxEnterprise, Reason},
    auth::{Failure, FailureContext, SignIn},
    box_client::{self, BaseUrl, Client, Credentials, TokenSource, Transport},
    cli::{box_api::BoxApiArgs, exit_code::CliError},
};

/// Longer than the client's own retries, and short enough for interactive use.
const STEP_TIMEOUT: Duration = Duration::from_secs(45);

/// How the checks sign in to Box.
pub(crate) enum BoxAuth {
    Credentials(Credentials),
    /// The operator's access token, which is never renewed by the plugin.
    AccessToken(SecretString),
    /// The credentials name another enterprise.
    WrongEnterprise(Failure),
    /// No credentials, and why.
    Unavailable(String),
}

/// Runs all checks that call Box.
pub(crate) async fn run_box_checks(
    check_run: &mut CheckRun<'_, '_>,
    box_api: &BoxApiArgs,
    context: &FailureContext,
    auth: BoxAuth,
) -> Result<(), CliError> {
    let base = &box_api.base_url;
    let proxy = box_client::proxy_from_env(base);
    let reachability = match box_api.transport() {
        Ok(transport) => box_client::check_reachability(&transport, base).await.map(|reached| (transport, reached)),
        Err(error) => Err(error),
    };
    match reachability {
        Ok((transport, server_time)) => {
            let via = proxy.map_or_else(|| "without a proxy".to_owned(), |proxy| format!("through the proxy {proxy}"));
            check_run.pass(CheckKind::BoxApi, format!("{base} is reachable, {via}."))?;
            let now = check_run.io.clock.now();
            check_run.add_result(CheckResult::from_clock(server_time, now))?;
            check_sign_in(check_run, transport, base, context, auth).await
        }
        Err(error) => {
            check_run.add_result(CheckResult::unreachable(&error, proxy.as_deref()))?;
            let why = "Not checked: Box cannot be reached from here.";
            check_run.skip_checks(&[CheckKind::Clock, CheckKind::Token], why)?;
            if let BoxAuth::WrongEnterprise(failure) = auth {
                check_run.fail(CheckKind::Enterprise, &failure)?
            } else {
                check_run.skip_checks(&[CheckKind::Enterprise], why)?
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
    let (base, clock) = (base.clone(), check_run.io.clock.to_fn());
    let why = match auth {
        BoxAuth::Credentials(credentials) => {
            let sign_in = SignIn::with_credentials(transport, base, credentials, context, clock);
            return check_with_credentials(check_run, &sign_in).await;
        }
        BoxAuth::AccessToken(token) => match TokenSource::with_access_token(transport, base, token, clock) {
            Ok(source) => {
                let client = Client::new(&source, CancellationToken::new());
                return check_with_access_token(check_run, &SignIn { client, context: context.clone() }).await;
            }
            Err(_) => {
                "Not checked: the stored access token is invalid. The operator renews it at its next sync.".to_owned()
            }
        },
        BoxAuth::WrongEnterprise(failure) => {
            check_run.skip_checks(&[CheckKind::Token], OTHER_ENTERPRISE)?;
            check_run.fail(CheckKind::Enterprise, &failure)?;
            return check_run.skip_checks(&[CheckKind::UserList], OTHER_ENTERPRISE);
        }
        BoxAuth::Unavailable(why) => why,
    };
    check_run.skip_checks(&[CheckKind::Token, CheckKind::Enterprise, CheckKind::UserList], &why)
}

const OTHER_ENTERPRISE: &str = "Not checked: the credentials belong to another enterprise.";

/// Checks with the credentials of the Secret.
async fn check_with_credentials(check_run: &mut CheckRun<'_, '_>, sign_in: &SignIn) -> Result<(), CliError> {
    if let Err(failure) = within_time_limit(sign_in.request_token()).await {
        check_run.fail(CheckKind::Token, &failure)?;
        return check_run
            .skip_checks(&[CheckKind::Enterprise, CheckKind::UserList], "Not checked: Box issued no token.");
    }
    let client_id = sign_in.context.client_id.as_deref().unwrap_or_default();
    let message = format!("Box issues a token to the app with client id {client_id}.");
    check_run.pass(CheckKind::Token, message)?;
    let verified = within_time_limit(sign_in.verify_account()).await;
    check_account(check_run, sign_in, verified.map(|(_, enterprise)| enterprise)).await
}

/// Checks with the operator's access token.
async fn check_with_access_token(check_run: &mut CheckRun<'_, '_>, sign_in: &SignIn) -> Result<(), CliError> {
    let verified = within_time_limit(sign_in.verify_account()).await;
    match &verified {
        Err(failure) if failure.reason == Reason::AuthorizationExpired => {
            // An access token is valid for an hour and only renewed when needed: not a failure.
            let why = "Not checked: the operator's access token has expired. The plugin requests no new one: a refresh token works once and belongs to the operator, which renews it at its next sync.";
            check_run.skip_checks(&[CheckKind::Token, CheckKind::Enterprise, CheckKind::UserList], why)
        }
        Err(failure) if failure.reason != Reason::EnterpriseMismatch => {
            check_run.fail(CheckKind::Token, failure)?;
            let why = "Not checked: Box rejected the token.";
            check_run.skip_checks(&[CheckKind::Enterprise, CheckKind::UserList], why)
        }
        Ok(_) | Err(_) => {
            let message = "Box accepts the operator's access token. The plugin requests no new one: a refresh token works once and belongs to the operator.";
            check_run.pass(CheckKind::Token, message)?;
            check_account(check_run, sign_in, verified.map(|(_, enterprise)| enterprise)).await
        }
    }
}

/// Reports the enterprise of the account, and checks its access to the user list.
async fn check_account(
    check_run: &mut CheckRun<'_, '_>,
    sign_in: &SignIn,
    verified: Result<BoxEnterprise, Failure>,
) -> Result<(), CliError> {
    match verified {
        Ok(enterprise) => {
            let message = format!("The credentials belong to enterprise {enterprise}.");
            check_run.pass(CheckKind::Enterprise, message)?;
        }
        Err(failure) => {
            check_run.fail(CheckKind::Enterprise, &failure)?;
            let why = match failure.reason == Reason::EnterpriseMismatch {
                true => OTHER_ENTERPRISE,
                false => "Not checked: Box did not return the account.",
            };
            return check_run.skip_checks(&[CheckKind::UserList], why);
        }
    }
    match within_time_limit(sign_in.verify_list_access()).await {
        Ok(()) => check_run.pass(CheckKind::UserList, "Box allows the app to list users."),
        Err(failure) => check_run.fail(CheckKind::UserList, &failure),
    }
}

/// The result of a step of the sign-in. A step that takes too long has failed.
async fn within_time_limit<T>(step: impl Future<Output = Result<T, Option<Failure>>>) -> Result<T, Failure> {
    let result = tokio::time::timeout(STEP_TIMEOUT, step).await.unwrap_or(Err(None));
    result.map_err(|failure| {
        failure.unwrap_or_else(|| {
            let summary = format!("Box sent no usable response within {} s.", STEP_TIMEOUT.as_secs());
            Failure::new(Reason::BoxUnavailable, summary, "")
        })
    })
}
