//! Parses and decrypts the private key (PEM) of a JWT app.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pkcs8::PrivateKeyInfoRef;
use ring::signature::RsaKeyPair;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::{key_derivation::parse_encrypted_key, malformed_credentials::MalformedCredentials};

const ENCRYPTED_PKCS8: &str = "ENCRYPTED PRIVATE KEY";
const PKCS8: &str = "PRIVATE KEY";
const PKCS1: &str = "RSA PRIVATE KEY";

/// Parses the key as Box issues it (PKCS#8 encrypted with a passphrase), or an unencrypted key. Takes up to some seconds
/// and 64 MiB, as the key demands.
pub(crate) fn parse_private_key(
    pem: &SecretString,
    passphrase: Option<&SecretString>,
) -> Result<RsaKeyPair, MalformedCredentials> {
    let (label, der) = decode_pem(pem.expose_secret())?;
    let pair = match label {
        ENCRYPTED_PKCS8 => {
            let passphrase =
                passphrase.ok_or(MalformedCredentials::MissingField("boxAppSettings.appAuth.passphrase"))?;
            let encrypted = parse_encrypted_key(der.expose_secret())?;
            let decrypted = encrypted.decrypt(passphrase.expose_secret()).map_err(|error| match error {
                pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::DecryptFailed) => {
                    MalformedCredentials::WrongPassphrase
                }
                _ => MalformedCredentials::UnsupportedKeyCipher,
            })?;
            // One in 256 wrong passphrases produces valid padding.
            PrivateKeyInfoRef::try_from(decrypted.as_bytes()).map_err(|_| MalformedCredentials::WrongPassphrase)?;
            RsaKeyPair::from_pkcs8(decrypted.as_bytes())
        }
        PKCS8 => RsaKeyPair::from_pkcs8(der.expose_secret()),
        PKCS1 => RsaKeyPair::from_der(der.expose_secret()),
        _ => return Err(MalformedCredentials::MalformedKey),
    };
    pair.map_err(|_| MalformedCredentials::UnsupportedKey)
}

/// The label and the content of the first PEM block. Any line length, white space and doubly escaped line breaks are
/// accepted.
fn decode_pem(pem: &str) -> Result<(&str, SecretSlice<u8>), MalformedCredentials> {
    let (label, rest) = pem
        .split_once("-----BEGIN ")
        .and_then(|(_, rest)| rest.split_once("-----"))
        .ok_or(MalformedCredentials::MalformedKey)?;
    let (body, _) = rest.split_once("-----END ").ok_or(MalformedCredentials::MalformedKey)?;
    if body.contains("Proc-Type:") {
        return Err(MalformedCredentials::LegacyEncryptedPem);
    }
    let mut base64_text = Vec::with_capacity(body.len());
    for part in body.split("\\n").flat_map(|part| part.split("\\r")) {
        base64_text.extend(part.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    }
    let base64_text = SecretSlice::from(base64_text);
    let der = BASE64_STANDARD.decode(base64_text.expose_secret()).map_err(|_| MalformedCredentials::MalformedKey)?;
    Ok((label, der.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DES3: &str = include_str!("../fixtures/pbes2-3des-sha1.pem");
    const AES: &str = include_str!("../fixtures/pbes2-aes256.pem");
    const SCRYPT: &str = include_str!("../fixtures/scrypt.pem");
    const COSTLY: &str = include_str!("../fixtures/pbkdf2-3000000.pem");
    const PBES1: &str = include_str!("../fixtures/pbes1.pem");
    const PLAIN: &str = include_str!("../fixtures/unencrypted.pem");
    const TRADITIONAL: &str = include_str!("../fixtures/traditional.pem");
    const LONG: &str = include_str!("../fixtures/too-long.pem");
    const SHORT: &str = include_str!("../fixtures/too-short.pem");

    fn parse_with_passphrase(pem: &str, passphrase: &str) -> Result<RsaKeyPair, MalformedCredentials> {
        parse_private_key(&pem.into(), Some(&passphrase.into()))
    }

    #[test]
    fn keys_as_issued_by_box_can_be_parsed() {
        for pem in [DES3, AES, SCRYPT] {
            assert!(parse_with_passphrase(pem, "fixture-passphrase").is_ok(), "{pem}");
        }
        assert!(parse_private_key(&PLAIN.into(), None).is_ok());
    }

    #[test]
    fn double_escaped_and_windows_line_breaks_are_accepted() {
        for pem in [
            DES3.replace('\n', "\\n"),
            DES3.replace('\n', "\r\n"),
            DES3.replace('\n', "\\r\\n"),
            format!("\n  {DES3}\n\n"),
        ] {
            assert!(parse_with_passphrase(&pem, "fixture-passphrase").is_ok(), "{pem}");
        }
    }

    #[test]
    fn an_unusable_key_reports_why() {
        let truncated = DES3.lines().take(8).collect::<Vec<_>>().join("\n");
        for (pem, expected) in [
            (TRADITIONAL, MalformedCredentials::LegacyEncryptedPem),
            (SHORT, MalformedCredentials::UnsupportedKey),
            (LONG, MalformedCredentials::UnsupportedKey),
            (COSTLY, MalformedCredentials::TooManyIterations { found: 3_000_000 }),
            (PBES1, MalformedCredentials::UnsupportedKeyCipher),
            ("", MalformedCredentials::MalformedKey),
            ("MIIE", MalformedCredentials::MalformedKey),
            (&truncated, MalformedCredentials::MalformedKey),
            (&format!("{truncated}\n-----END ENCRYPTED PRIVATE KEY-----"), MalformedCredentials::MalformedKey),
            ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", MalformedCredentials::MalformedKey),
        ] {
            assert_eq!(parse_with_passphrase(pem, "fixture-passphrase").err(), Some(expected), "{pem}");
        }
        assert_eq!(
            parse_private_key(&DES3.into(), None).err(),
            Some(MalformedCredentials::MissingField("boxAppSettings.appAuth.passphrase"))
        );
    }

    #[test]
    fn a_wrong_passphrase_never_passes_by_chance() {
        for attempt in 0..40 {
            assert_eq!(
                parse_with_passphrase(DES3, &format!("wrong {attempt}")).err(),
                Some(MalformedCredentials::WrongPassphrase)
            );
        }
    }
}
