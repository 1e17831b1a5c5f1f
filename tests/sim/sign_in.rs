//! Enterprises by the way they sign in, and what stands in the Secrets of their connections.

use box_sim::{Auth, Enterprise, EnterpriseSpec, KeyFormat};
use serde_json::{Value, json};

use crate::world::{World, base64};

/// The field of `spec.auth`.
pub(crate) const fn method(auth: Auth) -> &'static str {
    match auth {
        Auth::ClientCredentials => "clientCredentials",
        Auth::Jwt => "jwt",
        Auth::Oauth2 => "oauth2",
    }
}

/// What a Secret has to hold for the enterprise's present credentials.
pub(crate) fn credentials(enterprise: &Enterprise, auth: Auth) -> Value {
    let app = [("clientId", enterprise.client_id()), ("clientSecret", enterprise.client_secret())];
    let values: Vec<(&str, String)> = match auth {
        Auth::ClientCredentials => app.into(),
        Auth::Jwt => {
            vec![("config.json", enterprise.config_json(KeyFormat::Pkcs8TripleDes).expect("an app with a key pair"))]
        }
        Auth::Oauth2 => app.into_iter().chain([("refreshToken", enterprise.authorize_again())]).collect(),
    };
    values
        .into_iter()
        .map(|(key, value)| (key.to_owned(), base64(&value).into()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

impl World {
    pub(crate) fn enterprise_by(&self, name: &str, users: usize, auth: Auth) -> Enterprise {
        let seed = u64::try_from(self.boxes.enterprises().len()).expect("few");
        let id = (1000 + seed).to_string();
        self.boxes.enterprise(EnterpriseSpec::new(id).named(name).users(users).seed(seed).auth(auth))
    }

    /// The connection alone, without its Secret.
    pub(crate) fn connection_by(&self, name: &str, enterprise: &str, auth: Auth) {
        let auth = json!({ method(auth): { "secretRef": { "name": format!("{name}-box") } } });
        self.connection(name, enterprise, &json!({ "auth": auth }));
    }

    /// An enterprise in Box, its Secret, and its connection of the same name in the cluster.
    pub(crate) fn connect_by(&self, name: &str, users: usize, auth: Auth) -> Enterprise {
        let enterprise = self.enterprise_by(name, users, auth);
        self.secret_of(name, &credentials(&enterprise, auth));
        self.connection_by(name, enterprise.id(), auth);
        enterprise
    }

    /// Somebody goes through Box's page, and puts what comes of it into the Secret.
    pub(crate) fn authorize(&self, enterprise: &Enterprise, name: &str) {
        self.secret_of(name, &credentials(enterprise, Auth::Oauth2));
    }

    /// The Secret in which the operator keeps the tokens of this connection.
    pub(crate) fn tokens(&self, name: &str) -> Option<Value> {
        self.kube.get("Secret", crate::world::NAMESPACE, &format!("{name}-oauth2"))
    }
}
