//! Malformed credentials are reported without a call, and without their content.

use serde_json::{Value, json};

use super::*;

pub(super) fn config_json() -> Value {
    json!({
        "boxAppSettings": {
            "clientID": "jwt-client",
            "clientSecret": SECRET,
            "appAuth": {
                "publicKeyID": "kid-1",
                "privateKey": include_str!("../fixtures/pbes2-3des-sha1.pem"),
                "passphrase": "fixture-passphrase",
            },
        },
        "enterpriseID": "123",
    })
}

fn jwt(config: &str) -> Result<Credentials, MalformedCredentials> {
    Credentials::jwt(config.as_bytes().to_vec().into())
}

fn client_credentials_from(id: &str, secret: &[u8]) -> Result<Credentials, MalformedCredentials> {
    Credentials::client_credentials(id.as_bytes().to_vec().into(), secret.to_vec().into())
}

#[test]
fn a_trailing_line_break_is_not_part_of_the_client_id() {
    for id in ["abc", "abc\n", "abc\r\n"] {
        assert_eq!(client_credentials_from(id, b"x").expect("usable").client_id(), "abc");
    }
    assert_eq!(client_credentials_from("", b"x").err(), Some(MalformedCredentials::Empty("client id")));
    assert_eq!(client_credentials_from("abc", b" \n").err(), Some(MalformedCredentials::Empty("client secret")));
    assert_eq!(client_credentials_from("abc", b"\xff\xfe").err(), Some(MalformedCredentials::NotUtf8("client secret")));
}

#[test]
fn app_and_enterprise_are_read_from_the_configuration_file() {
    let credentials = jwt(&config_json().to_string()).expect("usable");
    assert_eq!((credentials.client_id(), credentials.enterprise_id()), ("jwt-client", Some("123")));
    assert!(jwt(&format!("\u{feff}{}\n", config_json())).is_ok());
    for (id, expected) in
        [(json!("0"), None), (json!(0), None), (json!(null), None), (json!(""), None), (json!(55), Some("55"))]
    {
        let mut config = config_json();
        config["enterpriseID"] = id;
        assert_eq!(jwt(&config.to_string()).expect("usable").enterprise_id(), expected);
    }
}

#[test]
fn a_missing_field_of_the_configuration_file_is_named_by_its_path() {
    for path in [
        "boxAppSettings.clientID",
        "boxAppSettings.clientSecret",
        "boxAppSettings.appAuth",
        "boxAppSettings.appAuth.publicKeyID",
        "boxAppSettings.appAuth.privateKey",
        "boxAppSettings.appAuth.passphrase",
    ] {
        let mut config = config_json();
        *config.pointer_mut(&format!("/{}", path.replace('.', "/"))).expect("a member") = Value::Null;
        assert_eq!(jwt(&config.to_string()).err(), Some(MalformedCredentials::MissingField(path)));
    }
}

#[test]
fn json_without_app_settings_is_rejected() {
    assert_eq!(jwt(r#"{"type": "service_account"}"#).err(), Some(MalformedCredentials::NotBoxConfig));
}

#[test]
fn an_unusable_configuration_file_reports_what_is_wrong() {
    let with = |path: &str, value: &str| {
        let mut config = config_json();
        *config.pointer_mut(path).expect("a member") = value.into();
        config.to_string()
    };
    for (config, expected, words) in [
        ("", MalformedCredentials::Empty("configuration file of the app"), "is empty"),
        ("{\n \"a\": oops}", MalformedCredentials::NotJson { line: 2, column: 7 }, "line 2, column 7"),
        ("[]", MalformedCredentials::NotBoxConfig, "not a Box app configuration"),
        (r#"{"boxAppSettings":"s3cret"}"#, MalformedCredentials::NotBoxConfig, "Download it again"),
        (
            &with("/boxAppSettings/appAuth/passphrase", "other"),
            MalformedCredentials::WrongPassphrase,
            "cannot be decrypted",
        ),
        (
            &with("/boxAppSettings/appAuth/privateKey", "s3cret"),
            MalformedCredentials::MalformedKey,
            "not a complete PEM",
        ),
        (
            &with("/boxAppSettings/appAuth/privateKey", include_str!("../fixtures/traditional.pem")),
            MalformedCredentials::LegacyEncryptedPem,
            "openssl pkcs8 -topk8",
        ),
    ] {
        let error = jwt(config).err();
        assert_eq!(error, Some(expected), "{config}");
        let text = expected.to_string();
        assert!(text.contains(words) && !text.contains("s3cret"), "{text}");
    }
}

#[test]
fn credentials_are_never_printed() {
    let printed = format!("{:?} {:?}", client_credentials(), jwt(&config_json().to_string()));
    assert!(printed.contains("the-client") && printed.contains("jwt-client"), "{printed}");
    for secret in [SECRET, "fixture-passphrase", "PRIVATE", "kid-1"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
