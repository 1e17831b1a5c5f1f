//! Enterprises by authentication method, and the Secrets of their connections.

use box_sim::{AuthMethod, Enterprise, KeyFormat};
use serde_json::{Value, json};

use crate::env::{SimEnv, encode_base64};

/// The field of `spec.auth`.
pub(crate) const fn auth_method(auth: AuthMethod) -> &'static str {
    match auth {
        AuthMethod::ClientCredentials => "clientCredentials",
        AuthMethod::Jwt => "jwt",
        AuthMethod::Oauth2 => "oauth2",
    }
}

/// Secret data with the enterprise's current credentials.
pub(crate) fn secret_data(enterprise: &Enterprise, auth: AuthMethod) -> Value {
    let app = [("clientId", enterprise.client_id()), ("clientSecret", enterprise.client_secret())];
    let values: Vec<(&str, String)> = match auth {
        AuthMethod::ClientCredentials => app.into(),
        AuthMethod::Jwt => {
            vec![("config.json", enterprise.config_json(KeyFormat::Pkcs8TripleDes).expect("an app with a key pair"))]
        }
        AuthMethod::Oauth2 => app.into_iter().chain([("refreshToken", enterprise.reauthorize_user())]).collect(),
    };
    values
        .into_iter()
        .map(|(key, value)| (key.to_owned(), encode_base64(&value).into()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

impl SimEnv {
    /// Applies the connection without its Secret.
    pub(crate) fn apply_connection_with_auth(&self, name: &str, enterprise: &str, auth: AuthMethod) {
        let auth = json!({ auth_method(auth): { "secretRef": { "name": format!("{name}-box") } } });
        self.apply_connection(name, enterprise, &json!({ "auth": auth }));
    }

    /// Adds an enterprise to Box, and its Secret and a connection of the same name to the cluster.
    pub(crate) fn connect_with_auth(&self, name: &str, users: usize, auth: AuthMethod) -> Enterprise {
        let enterprise = self.add_enterprise_with_auth(name, users, auth);
        self.apply_secret(name, &secret_data(&enterprise, auth));
        self.apply_connection_with_auth(name, enterprise.id(), auth);
        enterprise
    }

    /// Authorizes the app as a user would, and writes the refresh token into the Secret.
    pub(crate) fn authorize_connection(&self, enterprise: &Enterprise, name: &str) {
        self.apply_secret(name, &secret_data(enterprise, AuthMethod::Oauth2));
    }

    /// The Secret in which the operator stores the tokens of this connection.
    pub(crate) fn token_secret(&self, name: &str) -> Option<Value> {
        self.kube.get("Secret", crate::env::NAMESPACE, &format!("{name}-oauth2"))
    }
}
