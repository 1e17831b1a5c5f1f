//! The private key of a JWT app: PEM, decrypted, ready to sign.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use ring::signature::RsaKeyPair;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::credentials::Unusable;

const ENCRYPTED_PKCS8: &str = "ENCRYPTED PRIVATE KEY";
const PKCS8: &str = "PRIVATE KEY";
const PKCS1: &str = "RSA PRIVATE KEY";

/// Reads the key as Box hands it out (PKCS#8 under a passphrase), or without encryption.
pub(super) fn read(pem: &SecretString, passphrase: Option<&SecretString>) -> Result<RsaKeyPair, Unusable> {
    let (label, der) = unwrap(pem.expose_secret())?;
    let pair = match label {
        ENCRYPTED_PKCS8 => {
            let passphrase = passphrase.ok_or(Unusable::Missing("boxAppSettings.appAuth.passphrase"))?;
            let sealed =
                EncryptedPrivateKeyInfoRef::try_from(der.expose_secret()).map_err(|_| Unusable::KeyUnreadable)?;
            let opened = sealed.decrypt(passphrase.expose_secret()).map_err(|error| match error {
                pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::DecryptFailed) => Unusable::WrongPassphrase,
                _ => Unusable::KeyCipherUnknown,
            })?;
            // One wrong passphrase in 256 leaves a padding that looks right.
            PrivateKeyInfoRef::try_from(opened.as_bytes()).map_err(|_| Unusable::WrongPassphrase)?;
            RsaKeyPair::from_pkcs8(opened.as_bytes())
        }
        PKCS8 => RsaKeyPair::from_pkcs8(der.expose_secret()),
        PKCS1 => RsaKeyPair::from_der(der.expose_secret()),
        _ => return Err(Unusable::KeyUnreadable),
    };
    pair.map_err(|_| Unusable::KeyNotRsa)
}

/// The label and the content of the first PEM block. Line lengths, blanks and line breaks that were escaped twice do not matter.
fn unwrap(pem: &str) -> Result<(&str, SecretSlice<u8>), Unusable> {
    let (label, rest) =
        pem.split_once("-----BEGIN ").and_then(|(_, rest)| rest.split_once("-----")).ok_or(Unusable::KeyUnreadable)?;
    let (body, _) = rest.split_once("-----END ").ok_or(Unusable::KeyUnreadable)?;
    if body.contains("Proc-Type:") {
        return Err(Unusable::TraditionalPem);
    }
    let mut digits = Vec::with_capacity(body.len());
    for part in body.split("\\n").flat_map(|part| part.split("\\r")) {
        digits.extend(part.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    }
    let digits = SecretSlice::from(digits);
    let der = BASE64_STANDARD.decode(digits.expose_secret()).map_err(|_| Unusable::KeyUnreadable)?;
    Ok((label, der.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DES3: &str = include_str!("fixtures/pbes2-3des-sha1.pem");
    const AES: &str = include_str!("fixtures/pbes2-aes256.pem");
    const PLAIN: &str = include_str!("fixtures/unencrypted.pem");
    const TRADITIONAL: &str = include_str!("fixtures/traditional.pem");
    const SHORT: &str = include_str!("fixtures/too-short.pem");

    fn open(pem: &str, passphrase: &str) -> Result<RsaKeyPair, Unusable> {
        read(&pem.into(), Some(&passphrase.into()))
    }

    #[test]
    fn the_keys_that_box_hands_out_can_be_read() {
        for pem in [DES3, AES] {
            assert!(open(pem, "fixture-passphrase").is_ok(), "{pem}");
        }
        assert!(read(&PLAIN.into(), None).is_ok());
    }

    #[test]
    fn line_breaks_that_were_escaped_twice_or_come_from_windows_do_not_matter() {
        for pem in [
            DES3.replace('\n', "\\n"),
            DES3.replace('\n', "\r\n"),
            DES3.replace('\n', "\\r\\n"),
            format!("\n  {DES3}\n\n"),
        ] {
            assert!(open(&pem, "fixture-passphrase").is_ok(), "{pem}");
        }
    }

    #[test]
    fn a_key_that_cannot_be_used_says_why() {
        let cut = DES3.lines().take(8).collect::<Vec<_>>().join("\n");
        for (pem, expected) in [
            (TRADITIONAL, Unusable::TraditionalPem),
            (SHORT, Unusable::KeyNotRsa),
            ("", Unusable::KeyUnreadable),
            ("MIIE", Unusable::KeyUnreadable),
            (&cut, Unusable::KeyUnreadable),
            (&format!("{cut}\n-----END ENCRYPTED PRIVATE KEY-----"), Unusable::KeyUnreadable),
            ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", Unusable::KeyUnreadable),
        ] {
            assert_eq!(open(pem, "fixture-passphrase").err(), Some(expected), "{pem}");
        }
        assert_eq!(read(&DES3.into(), None).err(), Some(Unusable::Missing("boxAppSettings.appAuth.passphrase")));
    }

    #[test]
    fn no_wrong_passphrase_passes_by_chance() {
        for attempt in 0..40 {
            assert_eq!(open(DES3, &format!("wrong {attempt}")).err(), Some(Unusable::WrongPassphrase));
        }
    }
}
