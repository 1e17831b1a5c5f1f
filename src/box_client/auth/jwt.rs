//! Server authentication with JWT: the app's configuration file, and signed assertions.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::{
    client_credentials::ClientCredentials,
    credential_text::{check_text, decode_unicode, is_base64_of_json, trim},
    limits::{MAX_CLIENT_ID, MAX_CLIENT_SECRET, MAX_CONFIG_BYTES, MAX_ENTERPRISE_ID, MAX_KEY_ID, MAX_PASSPHRASE},
    malformed_credentials::MalformedCredentials,
    private_key,
    random_token::random_token,
    token_subject::TokenSubject,
};
use crate::box_client::lenient_value::LenientValue;

/// Box expects its own address, regardless of the base URL that the request is sent to.
const AUDIENCE: &str = "https://api.box.com/oauth2/token";
/// Box accepts at most 60 s; the difference allows for clock skew.
const LIFETIME_SECONDS: i64 = 45;

/// The content of the configuration file, with the decrypted key.
pub struct JwtApp {
    pub(super) app: ClientCredentials,
    /// `None` if the file has none, or `"0"`, as for apps that belong to several enterprises.
    pub(super) enterprise_id: Option<String>,
    key_id: String,
    key: RsaKeyPair,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JwtConfigFile {
    box_app_settings: Option<BoxAppSettings>,
    #[serde(rename = "enterpriseID")]
    enterprise_id: ConfigString,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct BoxAppSettings {
    #[serde(rename = "clientID")]
    client_id: ConfigString,
    client_secret: ConfigString,
    app_auth: Option<AppAuth>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AppAuth {
    #[serde(rename = "publicKeyID")]
    public_key_id: ConfigString,
    private_key: ConfigString,
    passphrase: ConfigString,
}

/// A string of the file; `None` if it is missing, empty or not a string.
#[derive(Default)]
struct ConfigString(Option<SecretString>);

impl<'de> Deserialize<'de> for ConfigString {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(LenientValue::deserialize(deserializer)?.into_non_empty_text().map(SecretString::from)))
    }
}

impl ConfigString {
    /// The string, `None` if it is missing; `path` is that in the file.
    fn secret(self, path: &'static str, limit: usize) -> Result<Option<SecretString>, MalformedCredentials> {
        if let Some(secret) = &self.0 {
            check_text(secret.expose_secret(), path, limit)?;
        }
        Ok(self.0)
    }

    fn required_text(self, path: &'static str, limit: usize) -> Result<String, MalformedCredentials> {
        let text = self.0.ok_or(MalformedCredentials::MissingField(path))?;
        Ok(check_text(trim(text.expose_secret()), path, limit)?.to_owned())
    }
}

impl JwtApp {
    pub(crate) fn parse(config: &SecretSlice<u8>) -> Result<Self, MalformedCredentials> {
        let bytes = config.expose_secret();
        if bytes.len() > MAX_CONFIG_BYTES {
            let what = "configuration file of the app";
            return Err(MalformedCredentials::TooLong { what, limit: MAX_CONFIG_BYTES });
        }
        let text = decode_unicode(bytes).ok_or(MalformedCredentials::NotUtf8("configuration file of the app"))?;
        let text = trim(text.expose_secret());
        if text.is_empty() {
            return Err(MalformedCredentials::Empty("configuration file of the app"));
        }
        let JwtConfigFile { box_app_settings, enterprise_id } =
            serde_json::from_str(text).map_err(|error| match error.classify() {
                _ if is_base64_of_json(text) => MalformedCredentials::Base64Twice("configuration file of the app"),
                // The text of the error may quote the file.
                serde_json::error::Category::Data => MalformedCredentials::NotBoxConfig,
                _ => MalformedCredentials::NotJson { line: error.line(), column: error.column() },
            })?;
        let BoxAppSettings { client_id, client_secret, app_auth } =
            box_app_settings.ok_or(MalformedCredentials::NotBoxConfig)?;
        let client_id = client_id.required_text("boxAppSettings.clientID", MAX_CLIENT_ID)?;
        let client_secret = client_secret.required_text("boxAppSettings.clientSecret", MAX_CLIENT_SECRET)?.into();
        let AppAuth { public_key_id, private_key, passphrase } =
            app_auth.ok_or(MalformedCredentials::MissingField("boxAppSettings.appAuth"))?;
        let key_id = public_key_id.required_text("boxAppSettings.appAuth.publicKeyID", MAX_KEY_ID)?;
        let passphrase = passphrase.secret("boxAppSettings.appAuth.passphrase", MAX_PASSPHRASE)?;
        let enterprise_id = enterprise_id.secret("enterpriseID", MAX_ENTERPRISE_ID)?;
        let enterprise_id = enterprise_id.map(|id| id.expose_secret().trim().to_owned());
        let enterprise_id = enterprise_id.filter(|id| !id.is_empty() && id != "0");
        // Last, because it is the only costly part. It has line breaks, and is bounded by the file.
        let private_key =
            private_key.0.ok_or(MalformedCredentials::MissingField("boxAppSettings.appAuth.privateKey"))?;
        let key = private_key::parse_private_key(&private_key, passphrase.as_ref())?;
        Ok(Self { app: ClientCredentials { client_id, client_secret }, enterprise_id, key_id, key })
    }

    /// A new assertion. Every request needs its own, because Box accepts each only once.
    pub(crate) fn sign_assertion(&self, subject: &TokenSubject, issued_at: Timestamp) -> SecretString {
        let (subject_type, subject_id) = subject.type_and_id();
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.key_id });
        let claims = json!({
            "iss": self.app.client_id,
            "sub": subject_id,
            "box_sub_type": subject_type,
            "aud": AUDIENCE,
            // Must be unique; Box requires 16 to 128 characters.
            "jti": random_token(),
            "exp": issued_at.as_second() + LIFETIME_SECONDS,
        });
        let encode_part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let mut assertion =
            format!("{}.{}", encode_part(header.to_string().as_bytes()), encode_part(claims.to_string().as_bytes()));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), assertion.as_bytes(), &mut signature)
            .expect("a validated key can sign");
        assertion.push('.');
        assertion.push_str(&encode_part(&signature));
        assertion.into()
    }
}
