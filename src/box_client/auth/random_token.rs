//! Random URL-safe text for `state`, `code_verifier` and `jti`.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};

/// 32 URL-safe characters with 192 random bits.
pub(crate) fn random_token() -> String {
    let mut bytes = [0; 24];
    SystemRandom::new().fill(&mut bytes).expect("the system's random number generator is available");
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
