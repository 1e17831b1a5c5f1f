//! An app that signs in with a JWT: its configuration file, and the assertions that it signs.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::credentials::Unusable;
use super::encode::unguessable;
use super::key;
use super::scalar::Scalar;

/// Box compares with its own address, whatever base URL the request was sent to.
const AUDIENCE: &str = "https://api.box.com/oauth2/token";
/// Box accepts 60 s at most; the rest is for clocks that differ a little.
const LIFETIME_SECONDS: i64 = 45;

/// What the configuration file holds, its key decrypted.
pub(super) struct App {
    pub(super) client_id: String,
    pub(super) client_secret: SecretString,
    /// `None` where the file names none, or `"0"` as it does for apps that belong to several.
    pub(super) enterprise_id: Option<String>,
    key_id: String,
    key: RsaKeyPair,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    box_app_settings: Option<Settings>,
    #[serde(rename = "enterpriseID", default)]
    enterprise_id: Member,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settings {
    #[serde(rename = "clientID", default)]
    client_id: Member,
    #[serde(default)]
    client_secret: Member,
    app_auth: Option<AppAuth>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AppAuth {
    #[serde(rename = "publicKeyID", default)]
    public_key_id: Member,
    #[serde(default)]
    private_key: Member,
    #[serde(default)]
    passphrase: Member,
}

/// A text of the file, secret or not; `None` where it is missing, empty or no text.
#[derive(Default)]
struct Member(Option<SecretString>);

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Scalar::deserialize(deserializer)?.into_word().map(SecretString::from)))
    }
}

impl Member {
    fn required(self, path: &'static str) -> Result<SecretString, Unusable> {
        self.0.ok_or(Unusable::Missing(path))
    }

    fn plain(self, path: &'static str) -> Result<String, Unusable> {
        Ok(self.required(path)?.expose_secret().trim().to_owned())
    }
}

impl App {
    pub(super) fn read(config: &SecretSlice<u8>) -> Result<Self, Unusable> {
        let bytes = config.expose_secret();
        // Editors of Windows put a byte order mark before the file.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if bytes.trim_ascii().is_empty() {
            return Err(Unusable::Empty("configuration file of the app"));
        }
        let File { box_app_settings, enterprise_id } =
            serde_json::from_slice(bytes).map_err(|error| match error.classify() {
                // The error's own text may quote the file.
                serde_json::error::Category::Data => Unusable::NotTheConfigFile,
                _ => Unusable::NotJson { line: error.line(), column: error.column() },
            })?;
        let Settings { client_id, client_secret, app_auth } = box_app_settings.ok_or(Unusable::NotTheConfigFile)?;
        let client_id = client_id.plain("boxAppSettings.clientID")?;
        let client_secret = client_secret.required("boxAppSettings.clientSecret")?;
        let AppAuth { public_key_id, private_key, passphrase } =
            app_auth.ok_or(Unusable::Missing("boxAppSettings.appAuth"))?;
        let key_id = public_key_id.plain("boxAppSettings.appAuth.publicKeyID")?;
        let key = key::read(&private_key.required("boxAppSettings.appAuth.privateKey")?, passphrase.0.as_ref())?;
        let enterprise_id = enterprise_id.plain("enterpriseID").ok().filter(|id| id != "0");
        Ok(Self { client_id, client_secret, enterprise_id, key_id, key })
    }

    /// A new assertion: Box takes each only once, so every request needs its own.
    pub(super) fn assertion(&self, enterprise_id: &str, at: Timestamp) -> SecretString {
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.key_id });
        let claims = json!({
            "iss": self.client_id,
            "sub": enterprise_id,
            "box_sub_type": "enterprise",
            "aud": AUDIENCE,
            // Never used before; Box asks for 16 to 128 characters.
            "jti": unguessable(),
            "exp": at.as_second() + LIFETIME_SECONDS,
        });
        let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let mut assertion = format!("{}.{}", part(header.to_string().as_bytes()), part(claims.to_string().as_bytes()));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), assertion.as_bytes(), &mut signature)
            .expect("a key that was accepted signs");
        assertion.push('.');
        assertion.push_str(&part(&signature));
        assertion.into()
    }
}
