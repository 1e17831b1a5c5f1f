//! Verifies credentials with Box: the account, its enterprise, and messages for failures.

use std::{fmt, sync::Arc};

use secrecy::{ExposeSecret, SecretSlice};
use tokio_util::sync::CancellationToken;

use super::{args::ConnectArgs, target::ConnectTarget};
use crate::{
    auth::{Failure, FailureContext},
    box_client::{self, Client, Credentials, MalformedCredentials, TokenSource},
    cli::{
        exit_code::{CliError, ExitStatus},
        io::Io,
    },
};

pub(crate) struct BoxLogin {
    session: TokenSource,
    context: FailureContext,
}

/// The Box account that the credentials act as.
pub(crate) struct SignedInAccount {
    login: String,
    enterprise: String,
}

impl fmt::Display for SignedInAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of enterprise {}", self.login, self.enterprise)
    }
}

impl BoxLogin {
    pub(crate) fn new(
        args: &ConnectArgs,
        target: &ConnectTarget,
        credentials: Credentials,
        io: &Io<'_>,
    ) -> Result<Self, CliError> {
        let transport = box_client::https_transport(env!("CARGO_PKG_VERSION"))
            .map_err(|e| CliError::error(format!("cannot create a Box client: {e}. Nothing was written.")))?;
        let context = FailureContext { client_id: Some(credentials.client_id().to_owned()), ..target.context.clone() };
        let clock = io.clock.clone();
        let now: box_client::ClockFn = Arc::new(move || clock.now());
        let session =
            TokenSource::new(transport, args.box_api_url.clone(), credentials, context.enterprise.clone(), now);
        Ok(Self { session, context })
    }

    /// Signs in and reads the account. An account of another enterprise is rejected.
    pub(crate) async fn verify_account(&self) -> Result<SignedInAccount, CliError> {
        let client = Client::new(&self.session, CancellationToken::new());
        let sign_in = async {
            client.sign_in().await?;
            client.get_account().await
        };
        let box_client::Account { login, enterprise, id: _, name: _ } =
            sign_in.await.map_err(|error| box_error(&self.context, &error))?;
        match enterprise {
            Some(found) if found.id == self.context.enterprise => {
                let name = if found.name.is_empty() { String::new() } else { format!(" ({})", found.name) };
                Ok(SignedInAccount { login, enterprise: format!("{}{name}", found.id) })
            }
            other => {
                let found = other.as_ref().map(|found| (found.id.as_str(), found.name.as_str()));
                Err(wrong_enterprise_error(&format!("Box signed in {login}"), found, &self.context))
            }
        }
    }

    /// The refresh token of the user's authorization.
    pub(crate) fn refresh_token(&self) -> Result<SecretSlice<u8>, CliError> {
        let token = self.session.refresh_token().ok_or_else(|| {
            CliError::Message(
                ExitStatus::Failure,
                "Box granted access without a refresh token, so access would expire within an hour. Nothing was written. Check in Box's developer console that the app's authentication is \"User Authentication (OAuth 2.0)\"."
                    .to_owned(),
            )
        })?;
        Ok(SecretSlice::from(token.expose_secret().as_bytes().to_vec()))
    }
}

/// `subject` is continued with "of enterprise …".
pub(crate) fn wrong_enterprise_error(subject: &str, found: Option<(&str, &str)>, context: &FailureContext) -> CliError {
    let enterprise = match found {
        Some((id, "")) => format!("of enterprise {id}"),
        Some((id, name)) => format!("of enterprise {id} ({name})"),
        None => "outside any enterprise".to_owned(),
    };
    CliError::Message(
        ExitStatus::Failure,
        format!(
            "{subject} {enterprise}, but {} is for enterprise {}. Nothing was written. Sign in to Box there (use a private browser window), or use the credentials of an app of that enterprise.",
            context.connection, context.enterprise
        ),
    )
}

pub(crate) fn malformed_credentials_error(why: MalformedCredentials) -> CliError {
    CliError::Message(ExitStatus::Failure, format!("the given credentials are malformed. {why} Nothing was written."))
}

fn box_error(context: &FailureContext, error: &box_client::Error) -> CliError {
    let message = Failure::from_box_error(context, error)
        .map_or_else(|| error.to_string(), |failure| format!("{} {}", failure.summary, failure.remediation));
    CliError::Message(ExitStatus::Failure, format!("{} Nothing was written.", message.trim_end()))
}
