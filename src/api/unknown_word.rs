//! Words of stored enums that a newer version has written: they are kept when the object is written back.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use schemars::{Schema, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// More words than that, or longer ones, are no work of a newer version, and make their object unreadable.
const MAX_WORDS: usize = 100;
const MAX_WORD_BYTES: usize = 64;

/// A word that this version does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct UnknownWord(&'static str);

impl UnknownWord {
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// The word, stored once for the lifetime of the process, so that the enums stay `Copy`; `None`: there are too many.
    fn intern(word: &str) -> Option<Self> {
        static WORDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = words.get(word) {
            return Some(Self(known));
        }
        if words.len() >= MAX_WORDS || word.len() > MAX_WORD_BYTES {
            return None;
        }
        let word: &'static str = Box::leak(word.into());
        words.insert(word);
        Some(Self(word))
    }
}

/// The schema of an enum with a variant for unknown words: the words that this version knows, and writes.
pub(super) fn schema_of_known_words(variants: &[&str]) -> Schema {
    let words: Vec<&str> = variants.iter().copied().filter(|word| *word != "Other").collect();
    json_schema!({ "type": "string", "enum": words })
}

impl<'de> Deserialize<'de> for UnknownWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Self::intern(&word).ok_or_else(|| D::Error::custom("a word that this version does not know"))
    }
}

#[cfg(test)]
mod tests {
    use crate::api::{RequestPhase, SliceState, Trigger};

    #[test]
    fn a_word_of_a_newer_version_is_kept() {
        fn round_trip<T: serde::Serialize + serde::de::DeserializeOwned>(word: &str) -> String {
            let read: T = serde_json::from_str(&format!("{word:?}")).expect("readable");
            serde_json::to_string(&read).expect("serializable")
        }
        for word in ["Scheduled", "Pushed"] {
            assert_eq!(round_trip::<Trigger>(word), format!("{word:?}"));
        }
        assert_eq!(round_trip::<RequestPhase>("Queued"), "\"Queued\"");
        assert_eq!(round_trip::<SliceState>("Groups"), "\"Groups\"");
        assert_eq!(serde_json::from_str::<Trigger>("\"Retry\"").ok(), Some(Trigger::Retry));
        assert_eq!(serde_json::from_str::<Trigger>("\"Pushed\"").ok().map(Trigger::as_str), Some("Pushed"));
        assert!(serde_json::from_str::<Trigger>(&format!("{:?}", "x".repeat(65))).is_err());
        assert!(serde_json::from_str::<Trigger>("7").is_err());
    }
}
