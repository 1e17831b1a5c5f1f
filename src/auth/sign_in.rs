//! Sign-in to Box: a new token, the account, its enterprise and its right to list users, each failure with its message.

use tokio_util::sync::CancellationToken;

use super::{failure::Failure, failure_context::FailureContext};
use crate::{
    api::{BoxAccount, BoxEnterprise},
    box_client::{Account, BaseUrl, Client, ClockFn, Credentials, Enterprise, Error, TokenSource, Transport},
};

/// The sign-in of an app. The caller decides which steps it needs; a failed step returns `None` after a cancellation.
pub struct SignIn {
    pub client: Client,
    pub context: FailureContext,
}

impl SignIn {
    /// A sign-in to the enterprise of the context, as its user if it names one, that nothing cancels.
    pub fn with_credentials(
        transport: Transport,
        base_url: BaseUrl,
        credentials: Credentials,
        context: &FailureContext,
        clock: ClockFn,
    ) -> Self {
        let context = context.with_client_id(credentials.client_id());
        let source = TokenSource::new(transport, base_url, credentials, context.token_subject(), clock);
        Self { client: Client::new(&source, CancellationToken::new()), context }
    }

    /// Requests a token with the credentials, even if one is cached.
    pub async fn request_token(&self) -> Result<(), Option<Failure>> {
        self.client.sign_in().await.map_err(|error| self.failure(&error))
    }

    /// The account that the credentials act as, and its enterprise, which must be that of the context.
    pub async fn verify_account(&self) -> Result<(BoxAccount, BoxEnterprise), Option<Failure>> {
        let Account { id, login, name, enterprise } =
            self.client.get_account().await.map_err(|error| self.failure(&error))?;
        let found = enterprise.map(|Enterprise { id, name }| BoxEnterprise { id, name });
        match found {
            Some(found) if found.id == self.context.enterprise => Ok((BoxAccount { id, login, name }, found)),
            other => Err(Some(Failure::enterprise_mismatch(&self.context, other.as_ref()))),
        }
    }

    /// Checks that the account may list users.
    pub async fn verify_list_access(&self) -> Result<(), Option<Failure>> {
        self.client.check_list_access().await.map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &Error) -> Option<Failure> {
        Failure::from_box_error(&self.context, error)
    }
}
