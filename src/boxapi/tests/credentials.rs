//! What is wrong with a Secret is said without a call, and without its content.

use serde_json::{Value, json};

use super::*;

pub(super) fn config() -> Value {
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

fn jwt(config: &str) -> Result<Credentials, Unusable> {
    Credentials::jwt(config.as_bytes().to_vec().into())
}

fn plain(id: &str, secret: &[u8]) -> Result<Credentials, Unusable> {
    Credentials::client_credentials(id.as_bytes().to_vec().into(), secret.to_vec().into())
}

#[test]
fn the_line_break_that_an_editor_adds_is_no_part_of_the_client_id() {
    for id in ["abc", "abc\n", "abc\r\n"] {
        assert_eq!(plain(id, b"x").expect("usable").client_id(), "abc");
    }
    assert_eq!(plain("", b"x").err(), Some(Unusable::Empty("client id")));
    assert_eq!(plain("abc", b" \n").err(), Some(Unusable::Empty("client secret")));
    assert_eq!(plain("abc", b"\xff\xfe").err(), Some(Unusable::NotText("client secret")));
}

#[test]
fn the_configuration_file_names_its_app_and_its_enterprise() {
    let credentials = jwt(&config().to_string()).expect("usable");
    assert_eq!((credentials.client_id(), credentials.enterprise_id()), ("jwt-client", Some("123")));
    assert!(jwt(&format!("\u{feff}{}\n", config())).is_ok());
    for (id, read) in
        [(json!("0"), None), (json!(0), None), (json!(null), None), (json!(""), None), (json!(55), Some("55"))]
    {
        let mut config = config();
        config["enterpriseID"] = id;
        assert_eq!(jwt(&config.to_string()).expect("usable").enterprise_id(), read);
    }
}

#[test]
fn a_member_that_is_missing_from_the_configuration_file_is_named_by_its_path() {
    for path in [
        "boxAppSettings.clientID",
        "boxAppSettings.clientSecret",
        "boxAppSettings.appAuth",
        "boxAppSettings.appAuth.publicKeyID",
        "boxAppSettings.appAuth.privateKey",
        "boxAppSettings.appAuth.passphrase",
    ] {
        let mut config = config();
        *config.pointer_mut(&format!("/{}", path.replace('.', "/"))).expect("a member") = Value::Null;
        assert_eq!(jwt(&config.to_string()).err(), Some(Unusable::Missing(path)));
    }
}

#[test]
fn json_without_the_apps_settings_is_another_file() {
    assert_eq!(jwt(r#"{"type": "service_account"}"#).err(), Some(Unusable::NotTheConfigFile));
}

#[test]
fn a_configuration_file_that_cannot_be_used_says_what_is_wrong() {
    let with = |path: &str, value: &str| {
        let mut config = config();
        *config.pointer_mut(path).expect("a member") = value.into();
        config.to_string()
    };
    for (config, expected, words) in [
        ("", Unusable::Empty("configuration file of the app"), "is empty"),
        ("{\n \"a\": oops}", Unusable::NotJson { line: 2, column: 7 }, "line 2, column 7"),
        ("[]", Unusable::NotTheConfigFile, "not the file that Box's developer console hands out"),
        (r#"{"boxAppSettings":"s3cret"}"#, Unusable::NotTheConfigFile, "Download it there again"),
        (&with("/boxAppSettings/appAuth/passphrase", "other"), Unusable::WrongPassphrase, "cannot be decrypted"),
        (&with("/boxAppSettings/appAuth/privateKey", "s3cret"), Unusable::KeyUnreadable, "not a complete PEM"),
        (
            &with("/boxAppSettings/appAuth/privateKey", include_str!("../fixtures/traditional.pem")),
            Unusable::TraditionalPem,
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
    let printed = format!("{:?} {:?}", client_credentials(), jwt(&config().to_string()));
    assert!(printed.contains("the-client") && printed.contains("jwt-client"), "{printed}");
    for secret in [SECRET, "fixture-passphrase", "PRIVATE", "kid-1"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
