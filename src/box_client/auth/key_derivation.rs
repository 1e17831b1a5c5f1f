//! The cost of decrypting a private key. The key itself names it, so a limit applies before the key is decrypted. Pure.

use pkcs8::{
    EncryptedPrivateKeyInfoRef,
    der::{Reader, SliceReader, asn1::OctetStringRef},
    pkcs5::{
        EncryptionScheme,
        pbes2::{Kdf, Pbkdf2Params, ScryptParams},
    },
    spki::AlgorithmIdentifierRef,
};

use super::{
    limits::{MAX_PBKDF2_ITERATIONS, MAX_SCRYPT_MEMORY, MAX_SCRYPT_PASSES},
    malformed_credentials::MalformedCredentials,
};

/// An encrypted key whose decryption ends within seconds, and within [`MAX_SCRYPT_MEMORY`].
pub(super) fn parse_encrypted_key(der: &[u8]) -> Result<EncryptedPrivateKeyInfoRef<'_>, MalformedCredentials> {
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| match is_encrypted_key(der) {
        true => MalformedCredentials::UnsupportedKeyCipher,
        false => MalformedCredentials::MalformedKey,
    })?;
    check_cost(&encrypted.encryption_algorithm)?;
    Ok(encrypted)
}

/// Whether this is an encrypted key, whatever the algorithm and its parameters.
fn is_encrypted_key(der: &[u8]) -> bool {
    let parse = || {
        let mut reader = SliceReader::new(der)?;
        reader.sequence(|reader| {
            reader.decode::<AlgorithmIdentifierRef<'_>>()?;
            reader.decode::<&OctetStringRef>()
        })?;
        reader.finish()
    };
    parse().is_ok()
}

fn check_cost(algorithm: &EncryptionScheme) -> Result<(), MalformedCredentials> {
    // Both enums can grow with the library; what is not known here is refused.
    let Some(parameters) = algorithm.pbes2() else { return Err(MalformedCredentials::UnsupportedKeyCipher) };
    match &parameters.kdf {
        Kdf::Pbkdf2(Pbkdf2Params { iteration_count, .. }) => match iteration_count {
            0 => Err(MalformedCredentials::UnsupportedKeyCipher),
            1..=MAX_PBKDF2_ITERATIONS => Ok(()),
            found => Err(MalformedCredentials::TooManyIterations { found: *found }),
        },
        Kdf::Scrypt(ScryptParams { cost_parameter, block_size, parallelization, .. }) => {
            let (cost, block_size, passes) = (*cost_parameter, *block_size, *parallelization);
            let memory = cost.checked_mul(128).and_then(|bytes| bytes.checked_mul(block_size.into()));
            // RFC 7914. The library panics without a cost.
            if cost < 2 || !cost.is_power_of_two() || block_size == 0 || passes == 0 {
                return Err(MalformedCredentials::UnsupportedKeyCipher);
            }
            match memory.is_some_and(|bytes| bytes <= MAX_SCRYPT_MEMORY) && passes <= MAX_SCRYPT_PASSES {
                true => Ok(()),
                false => Err(MalformedCredentials::ScryptTooCostly { cost, block_size, passes }),
            }
        }
        _ => Err(MalformedCredentials::UnsupportedKeyCipher),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use pkcs8::{
        ObjectIdentifier,
        der::{Encode, asn1::OctetString},
        pkcs5::pbes2::{self, Pbkdf2Prf, Salt},
    };

    use super::*;

    fn pbkdf2(iteration_count: u32) -> Kdf {
        let salt = Salt::new([7; 16]).expect("a salt");
        Kdf::Pbkdf2(Pbkdf2Params { salt, iteration_count, key_length: None, prf: Pbkdf2Prf::HmacWithSha256 })
    }

    fn scrypt(cost_parameter: u64, block_size: u16, parallelization: u16) -> Kdf {
        let salt = Salt::new([7; 16]).expect("a salt");
        Kdf::Scrypt(ScryptParams { salt, cost_parameter, block_size, parallelization, key_length: None })
    }

    /// The DER of a key with this algorithm, and no usable content.
    fn encrypted_key(kdf: Kdf) -> Vec<u8> {
        let encryption = pbes2::EncryptionScheme::Aes256Cbc { iv: [0; 16] };
        let encryption_algorithm = EncryptionScheme::Pbes2(pbes2::Parameters { kdf, encryption });
        let encrypted_data = OctetString::new([0; 64]).expect("short");
        pkcs8::EncryptedPrivateKeyInfoOwned { encryption_algorithm, encrypted_data }.to_der().expect("DER")
    }

    fn parse(kdf: Kdf) -> Result<(), MalformedCredentials> {
        parse_encrypted_key(&encrypted_key(kdf)).map(drop)
    }

    #[test]
    fn a_costly_key_derivation_is_refused_before_it_starts() {
        let started = Instant::now();
        for found in [MAX_PBKDF2_ITERATIONS + 1, 1 << 31, u32::MAX] {
            assert_eq!(parse(pbkdf2(found)), Err(MalformedCredentials::TooManyIterations { found }));
        }
        for (cost, block_size, passes) in [
            (1 << 45, 8, 1),
            (1 << 20, 8, 1),
            (1 << 17, 8, 1),
            (1 << 63, u16::MAX, u16::MAX),
            (2, 1, 5),
            (1 << 16, 8, 5),
        ] {
            let expected = Err(MalformedCredentials::ScryptTooCostly { cost, block_size, passes });
            assert_eq!(parse(scrypt(cost, block_size, passes)), expected);
        }
        assert!(started.elapsed().as_secs() < 1, "the keys were derived");
    }

    #[test]
    fn the_limits_themselves_are_accepted() {
        for kdf in
            [pbkdf2(1), pbkdf2(2048), pbkdf2(MAX_PBKDF2_ITERATIONS), scrypt(1 << 14, 8, 1), scrypt(1 << 16, 8, 4)]
        {
            assert_eq!(parse(kdf.clone()), Ok(()), "{kdf:?}");
        }
    }

    #[test]
    fn parameters_that_make_no_sense_are_refused() {
        for kdf in [pbkdf2(0), scrypt(0, 8, 1), scrypt(1, 8, 1), scrypt(3, 8, 1), scrypt(16, 0, 1), scrypt(16, 8, 0)] {
            assert_eq!(parse(kdf.clone()), Err(MalformedCredentials::UnsupportedKeyCipher), "{kdf:?}");
        }
    }

    /// SEQUENCE { SEQUENCE { OID, parameters }, OCTET STRING }, where the library knows no such algorithm.
    fn key_with_algorithm(oid: &str, parameters: &[u8]) -> Vec<u8> {
        let tlv = |tag: u8, content: &[u8]| {
            let length = u8::try_from(content.len()).expect("short");
            assert!(length < 128, "one byte of length");
            [&[tag, length], content].concat()
        };
        let oid = ObjectIdentifier::new(oid).expect("an OID").to_der().expect("DER");
        let algorithm = tlv(0x30, &[&oid, parameters].concat());
        tlv(0x30, &[algorithm, tlv(0x04, &[0; 16])].concat())
    }

    #[test]
    fn an_algorithm_that_is_not_known_is_refused() {
        let pbe_with_sha1_and_3des = "1.2.840.113549.1.12.1.3";
        let pbe_with_md5_and_des = "1.2.840.113549.1.5.3";
        let (salt_and_count, none) = ([0x30, 0x0d, 4, 8, 1, 2, 3, 4, 5, 6, 7, 8, 2, 1, 1], [5, 0]);
        for (oid, parameters) in [
            (pbe_with_sha1_and_3des, &salt_and_count[..]),
            (pbe_with_md5_and_des, &salt_and_count[..]),
            (pbe_with_md5_and_des, &none[..]),
            ("1.3.6.1.4.1.11591.4.12", &none[..]),
        ] {
            let der = key_with_algorithm(oid, parameters);
            assert_eq!(parse_encrypted_key(&der).err(), Some(MalformedCredentials::UnsupportedKeyCipher), "{oid}");
        }
        assert_eq!(parse_encrypted_key(b"").err(), Some(MalformedCredentials::MalformedKey));
        assert_eq!(parse_encrypted_key(&[0x30, 0x84, 0xff, 0xff]).err(), Some(MalformedCredentials::MalformedKey));
    }

    #[test]
    fn a_number_of_iterations_beyond_32_bits_is_refused_too() {
        let mut der = encrypted_key(pbkdf2(u32::MAX));
        // INTEGER of 5 bytes, the first of them zero as a sign: becomes 2^40 - 1 with the sign bit of a larger first byte.
        let at = der.windows(7).position(|w| w == [2, 5, 0, 0xff, 0xff, 0xff, 0xff]).expect("the iterations");
        der[at + 2] = 0x7f;
        assert_eq!(parse_encrypted_key(&der).err(), Some(MalformedCredentials::UnsupportedKeyCipher));
    }

    #[test]
    fn a_long_salt_is_refused() {
        let mut der = encrypted_key(pbkdf2(2048));
        let at = der.windows(3).position(|w| w == [4, 16, 7]).expect("the salt");
        // It now reaches into what follows, beyond the 32 bytes that the library stores.
        der[at + 1] = 33;
        assert!(parse_encrypted_key(&der).is_err());
    }
}
