//! A deterministic random number generator.

/// splitmix64's finalizer, a bijection: different inputs have different outputs.
pub(crate) const fn splitmix64(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) const fn new(seed: u64, stream: u64) -> Self {
        Self(splitmix64(seed ^ splitmix64(stream)))
    }

    /// A number below `bound`.
    pub(crate) const fn next_below(&mut self, bound: u64) -> u64 {
        self.0 = splitmix64(self.0);
        self.0 % bound
    }

    pub(crate) fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.next_below(from.len() as u64)).unwrap_or_default()]
    }
}

/// Letters and digits, as in Box's client ids, secrets and tokens.
pub(crate) fn random_alphanumeric(seed: u64, len: usize) -> String {
    const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let mut rng = Rng::new(seed, len as u64);
    (0..len).map(|_| char::from(*rng.choose(ALPHABET))).collect()
}

/// The same text always gives the same seed.
pub(crate) fn hash_seed(text: &str) -> u64 {
    text.bytes().fold(0, |seed, byte| splitmix64(seed ^ u64::from(byte)))
}
