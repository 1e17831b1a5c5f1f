//! The tracking codes of a user: fields that an enterprise defines itself, such as department or cost centre.

use std::{borrow::Cow, collections::BTreeMap, fmt};

/// The values of tracking codes by their names.
pub type CodesByName<'a> = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

/// The tracking codes of one user, in the order of their names. Most users have none.
#[derive(Clone, Copy)]
pub struct TrackingCodes<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    /// Names and values as [`TrackingCodes::pack`] writes them.
    Packed(&'a [u8]),
    ByName(&'a CodesByName<'a>),
}

impl<'a> TrackingCodes<'a> {
    pub fn by_name(codes: &'a CodesByName<'a>) -> Self {
        Self(Source::ByName(codes))
    }

    /// Each name with its value.
    pub fn pairs(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let (packed, by_name) = match self.0 {
            Source::Packed(bytes) => (bytes, None),
            Source::ByName(codes) => (&[][..], Some(codes)),
        };
        let by_name = by_name.into_iter().flatten().map(|(name, value)| (&**name, &**value));
        unpack_pairs(packed).chain(by_name)
    }

    /// The same codes are always the same bytes; none are no bytes.
    pub(super) fn pack(self) -> Vec<u8> {
        match self.0 {
            Source::Packed(bytes) => bytes.to_vec(),
            Source::ByName(codes) => codes.iter().fold(Vec::new(), |packed, (name, value)| {
                postcard::to_extend(&(&**name, &**value), packed).expect("strings always serialize")
            }),
        }
    }

    pub(super) fn from_packed(bytes: &'a [u8]) -> Self {
        Self(Source::Packed(bytes))
    }
}

fn unpack_pairs(mut packed: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    std::iter::from_fn(move || {
        if packed.is_empty() {
            return None;
        }
        let (pair, rest) = postcard::take_from_bytes(packed).expect("packed by TrackingCodes::pack");
        packed = rest;
        Some(pair)
    })
}

impl Default for TrackingCodes<'_> {
    fn default() -> Self {
        Self(Source::Packed(&[]))
    }
}

impl PartialEq for TrackingCodes<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.pairs().eq(other.pairs())
    }
}

impl Eq for TrackingCodes<'_> {}

impl fmt::Debug for TrackingCodes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.pairs()).finish()
    }
}
