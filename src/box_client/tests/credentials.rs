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
    for id in ["abc", "abc\n", "abc\r\n", " abc \r\n\n", "\u{a0}abc\u{a0}", "\u{feff}abc", "\u{200b}abc\t"] {
        assert_eq!(client_credentials_from(id, b"x").expect("usable").client_id(), "abc");
    }
    assert_eq!(client_credentials_from("", b"x").err(), Some(MalformedCredentials::Empty("client id")));
    assert_eq!(client_credentials_from("abc", b" \n").err(), Some(MalformedCredentials::Empty("client secret")));
    assert_eq!(client_credentials_from("abc", b"\xff\x00").err(), Some(MalformedCredentials::NotUtf8("client secret")));
    assert_eq!(client_credentials_from("abc", b"\xff\xfe").err(), Some(MalformedCredentials::Empty("client secret")));
}

fn as_utf16(text: &str) -> Vec<u8> {
    [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
}

#[test]
fn text_of_windows_editors_is_read() {
    let id = Credentials::client_credentials(as_utf16("abc\r\n").into(), b"x".to_vec().into());
    assert_eq!(id.expect("usable").client_id(), "abc");
    assert!(Credentials::jwt(as_utf16(&config_json().to_string()).into()).is_ok());
    let big_endian = [0xfe, 0xff].into_iter().chain("abc".encode_utf16().flat_map(u16::to_be_bytes));
    let id = Credentials::client_credentials(big_endian.collect::<Vec<u8>>().into(), b"x".to_vec().into());
    assert_eq!(id.expect("usable").client_id(), "abc");
}

#[test]
fn what_is_encoded_once_too_often_is_named() {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let config = BASE64_STANDARD.encode(config_json().to_string());
    let wrapped: String =
        config.as_bytes().chunks(76).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect();
    for twice in [config, wrapped] {
        assert_eq!(jwt(&twice).err(), Some(MalformedCredentials::Base64Twice("configuration file of the app")));
    }
    let secret = "s3cr3tS3cr3tS3cr3tS3cr3tS3cr3t42";
    let twice = BASE64_STANDARD.encode(format!("{secret}\n"));
    assert_eq!(
        client_credentials_from("abc", twice.as_bytes()).err(),
        Some(MalformedCredentials::Base64Twice("client secret"))
    );
    assert!(client_credentials_from("abc", secret.as_bytes()).is_ok());
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
fn text_beyond_its_limit_or_with_control_characters_is_refused() {
    let long = "x".repeat(100_000);
    let (client_id, client_secret) = ("client id", "client secret");
    for (id, secret, expected) in [
        (long.as_str(), "s", MalformedCredentials::TooLong { what: client_id, limit: 256 }),
        ("c", long.as_str(), MalformedCredentials::TooLong { what: client_secret, limit: 1024 }),
        ("a\u{1}b", "s", MalformedCredentials::ControlCharacter(client_id)),
        ("a\nb", "s", MalformedCredentials::ControlCharacter(client_id)),
        ("c", "a\u{85}b", MalformedCredentials::ControlCharacter(client_secret)),
    ] {
        assert_eq!(client_credentials_from(id, secret.as_bytes()).err(), Some(expected));
    }
    assert!(client_credentials_from(&"x".repeat(256), "s".repeat(1024).as_bytes()).is_ok());
    let bytes = |text: &str| text.as_bytes().to_vec().into();
    assert_eq!(
        Credentials::oauth2(bytes("c"), bytes("s"), bytes(&long)).err(),
        Some(MalformedCredentials::TooLong { what: "refresh token", limit: 4096 })
    );
}

#[test]
fn a_configuration_file_beyond_its_limits_is_refused() {
    let with = |path: &str, value: &str| {
        let mut config = config_json();
        *config.pointer_mut(path).expect("a member") = value.into();
        config.to_string()
    };
    let text = "x".repeat(2000);
    for (config, what, limit) in [
        (" ".repeat(65_537), "configuration file of the app", 65_536),
        (with("/boxAppSettings/clientID", &text), "boxAppSettings.clientID", 256),
        (with("/boxAppSettings/clientSecret", &text), "boxAppSettings.clientSecret", 1024),
        (with("/boxAppSettings/appAuth/publicKeyID", &text), "boxAppSettings.appAuth.publicKeyID", 256),
        (with("/boxAppSettings/appAuth/passphrase", &text), "boxAppSettings.appAuth.passphrase", 1024),
        (with("/enterpriseID", &text), "enterpriseID", 64),
    ] {
        assert_eq!(jwt(&config).err(), Some(MalformedCredentials::TooLong { what, limit }));
    }
    assert_eq!(
        jwt(&with("/boxAppSettings/clientID", "a\u{1b}[2Jb")).err(),
        Some(MalformedCredentials::ControlCharacter("boxAppSettings.clientID"))
    );
    for deep in ["[".repeat(65_000), r#"{"a":"#.repeat(13_000), format!(r#"{{"boxAppSettings":{}"#, "[".repeat(60_000))]
    {
        assert!(matches!(jwt(&deep).err(), Some(MalformedCredentials::NotJson { .. })));
    }
}

#[test]
fn the_message_about_a_costly_key_says_what_was_found_the_limit_and_what_to_do() {
    for (error, words) in [
        (
            MalformedCredentials::TooManyIterations { found: 4_000_000 },
            ["4000000 iterations", "at most 2000000", "-iter 100000"],
        ),
        (
            MalformedCredentials::ScryptTooCostly { cost: 1 << 20, block_size: 8, passes: 1 },
            ["N=1048576, r=8, p=1", "at most 64 MiB", "Generate a new key pair"],
        ),
    ] {
        let text = error.to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
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
