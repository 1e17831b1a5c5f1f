//! A part of the users, for one of several processes that share the work. Pure.

use std::{fmt, str::FromStr};

use ring::digest::{SHA256, digest};

/// The users of one process of `count`. Each user belongs to one shard, by the id alone: whoever joins or leaves moves nobody
/// else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    /// From 0, as `JOB_COMPLETION_INDEX` counts.
    index: u64,
    count: u64,
}

impl Shard {
    /// Whether the user belongs to this shard: the first eight bytes of the id's SHA-256, big-endian, modulo the count.
    pub(super) fn contains(self, user_id: &str) -> bool {
        let digest = digest(&SHA256, user_id.as_bytes());
        let number = digest.as_ref().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        number % self.count == self.index
    }
}

/// `I/N` as on the command line.
impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(index, count)| {
            let shard = Self { index: index.parse().ok()?, count: count.parse().ok()? };
            (shard.index < shard.count).then_some(shard)
        });
        parsed.ok_or_else(|| {
            format!("{text:?} is not a shard: write I/N with I from 0 to N-1, such as 0/4 for the first of four")
        })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards(count: u64) -> impl Iterator<Item = Shard> {
        (0..count).map(move |index| Shard { index, count })
    }

    #[test]
    fn every_user_is_in_one_shard_and_the_shards_are_alike() {
        let ids: Vec<String> = (0..8_000).map(|n| (20_000_000 + n).to_string()).collect();
        for id in &ids {
            assert_eq!(shards(8).filter(|shard| shard.contains(id)).count(), 1, "{id}");
        }
        for shard in shards(8) {
            let size = ids.iter().filter(|id| shard.contains(id)).count();
            assert!((900..1_100).contains(&size), "{shard}: {size}");
        }
        assert!(ids.iter().all(|id| Shard { index: 0, count: 1 }.contains(id)));
    }

    /// Jobs of different versions of the plugin share the work: this split is for ever.
    #[test]
    fn the_split_is_the_documented_one() {
        // printf 2001 | sha256sum: the first eight bytes, modulo 4.
        let of = |id| shards(4).position(|shard| shard.contains(id));
        assert_eq!(["2001", "2002", "2003", "12345678"].map(of), [0, 2, 3, 3].map(Some));
    }

    #[test]
    fn what_is_no_shard_is_refused_with_an_example() {
        assert_eq!("3/4".parse(), Ok(Shard { index: 3, count: 4 }));
        for text in ["4/4", "1", "0/0", "-1/4", "a/b", "1/", "/4", "1/2/3"] {
            let error = text.parse::<Shard>().expect_err(text);
            assert!(error.contains("such as 0/4"), "{error}");
        }
    }
}
