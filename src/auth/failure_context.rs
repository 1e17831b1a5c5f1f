//! The names that failure messages contain.

use crate::{
    api::{AuthType, BoxConnection},
    box_client::TokenSubject,
};

/// The names that failure messages contain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailureContext {
    pub connection: String,
    pub namespace: String,
    pub secret: String,
    /// The UID of the BoxConnection.
    pub uid: String,
    pub enterprise: String,
    pub method: Option<AuthType>,
    /// The Box user that the app acts as, instead of its service account.
    pub user_id: Option<String>,
    /// Known after the Secret was read.
    pub client_id: Option<String>,
}

impl FailureContext {
    pub fn for_connection(connection: &BoxConnection) -> Self {
        let chosen = connection.spec.auth.selected_method();
        Self {
            connection: connection.metadata.name.clone().unwrap_or_default(),
            namespace: connection.metadata.namespace.clone().unwrap_or_default(),
            secret: chosen.map(|(_, name)| name.to_owned()).unwrap_or_default(),
            uid: connection.metadata.uid.clone().unwrap_or_default(),
            enterprise: connection.spec.enterprise_id.clone(),
            method: chosen.map(|(method, _)| method),
            user_id: connection.spec.auth.user_id().map(str::to_owned),
            client_id: None,
        }
    }

    /// For whom tokens are requested.
    pub fn token_subject(&self) -> TokenSubject {
        match &self.user_id {
            Some(id) => TokenSubject::User(id.clone()),
            None => TokenSubject::Enterprise(self.enterprise.clone()),
        }
    }

    pub fn with_client_id(&self, client_id: &str) -> Self {
        Self { client_id: Some(client_id.to_owned()), ..self.clone() }
    }

    /// The Secret in which the operator stores the tokens of a user's authorization.
    pub fn token_secret_name(&self) -> String {
        format!("{}-oauth2", self.connection)
    }

    pub(super) fn app_label(&self) -> String {
        self.client_id
            .as_ref()
            .map_or_else(|| "the Box app".to_owned(), |id| format!("the Box app with client id {id}"))
    }

    /// The keys of the Secret for this method, for messages.
    pub(super) fn secret_keys(&self) -> &'static str {
        match self.method {
            Some(AuthType::ClientCredentials) => "clientId and clientSecret",
            Some(AuthType::Jwt) => "config.json",
            Some(AuthType::Oauth2) => "clientId, clientSecret and refreshToken",
            None => "for exactly one sign-in method",
        }
    }
}
