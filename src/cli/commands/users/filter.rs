//! The filters of `users`. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{
    args::{TrackingCode, UserFilterArgs},
    output::OutputUser,
};
use crate::{
    cli::exit_code::CliError,
    roster::{PublishedUser, RemovedUser},
};

/// Box's words, and `restricted`, which stands for those that begin with `cannot_delete_edit`.
const STATUSES: &[&str] = &["active", "inactive", "cannot_delete_edit", "cannot_delete_edit_upload", "restricted"];
const ROLES: &[&str] = &["admin", "coadmin", "user"];

/// More names of tracking codes are not told.
const MAX_CODE_NAMES: usize = 10;

/// Words of a filter that Box has not been known to use, until a user has one: Box may have new ones.
pub(crate) struct UnknownWords<'a> {
    statuses: Vec<&'a str>,
    roles: Vec<&'a str>,
    /// Names of tracking codes, which each enterprise chooses itself.
    codes: Vec<&'a str>,
    /// The first names that users have.
    known_codes: BTreeSet<String>,
}

impl<'a> UnknownWords<'a> {
    pub(crate) fn in_args(args: &'a UserFilterArgs) -> Self {
        let unknown = |given: &'a [String], known: &[&str]| {
            given.iter().map(String::as_str).filter(|word| !known.contains(word)).collect()
        };
        Self {
            statuses: unknown(&args.status, STATUSES),
            roles: unknown(&args.role, ROLES),
            codes: args.tracking_code.iter().map(|code| code.name.as_str()).collect(),
            known_codes: BTreeSet::new(),
        }
    }

    /// Held users are few, and may have no code that others have.
    pub(crate) fn ignore_codes(&mut self) {
        self.codes.clear();
    }

    pub(crate) fn observe(&mut self, user: &impl OutputUser) {
        self.statuses.retain(|word| *word != user.status());
        self.roles.retain(|word| Some(*word) != user.role());
        if self.codes.is_empty() {
            return;
        }
        self.codes.retain(|name| user.tracking_code(name).is_none());
        for name in user.tracking_code_names() {
            if self.known_codes.len() < MAX_CODE_NAMES && !self.known_codes.contains(name) {
                self.known_codes.insert(name.to_owned());
            }
        }
    }

    /// # Errors
    /// Words that are still unknown, as a typing error would be: nobody could match them.
    pub(crate) fn check(&self) -> Result<(), CliError> {
        let unknown = |what: &str, words: &[&str], known: &[&str]| {
            let word = words.first()?;
            let hint = did_you_mean(word, known);
            Some(CliError::usage(format!(
                "none of these users has the {what} {word:?}, and Box is not known to use it.{hint} Known are {}.",
                known.join(", ")
            )))
        };
        let error = unknown("status", &self.statuses, STATUSES)
            .or_else(|| unknown("role", &self.roles, ROLES))
            .or_else(|| self.unknown_code());
        error.map_or(Ok(()), Err)
    }

    fn unknown_code(&self) -> Option<CliError> {
        let name = self.codes.first()?;
        let known: Vec<&str> = self.known_codes.iter().map(String::as_str).collect();
        let hint = did_you_mean(name, &known);
        let known = match known.len() {
            0 => "They have no tracking codes: Box sends some only if the enterprise has switched them on.".to_owned(),
            MAX_CODE_NAMES.. => format!("They have {}, and maybe others.", known.join(", ")),
            _ => format!("They have {}.", known.join(", ")),
        };
        Some(CliError::usage(format!("none of these users has a tracking code named {name:?}.{hint} {known}")))
    }
}

/// ` Did you mean …?`, if one of these words is similar.
fn did_you_mean(word: &str, known: &[&str]) -> String {
    let distance = |known: &&&str| strsim::osa_distance(&word.to_lowercase(), &known.to_lowercase());
    let similar = known.iter().min_by_key(distance).filter(|known| distance(known) <= 2);
    similar.map(|known| format!(" Did you mean {known}?")).unwrap_or_default()
}

/// A user must match all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UserFilter {
    pub(super) status: Vec<String>,
    pub(super) role: Vec<String>,
    /// Only app users, or only others.
    pub(super) app: Option<bool>,
    /// The values, one of which a tracking code of this name must have; an empty one stands for users without it.
    pub(super) tracking_codes: BTreeMap<String, Vec<String>>,
    /// In lower case.
    pub(super) search: Option<String>,
}

/// As on the command line.
impl fmt::Display for UserFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, role, app, tracking_codes, search } = self;
        let flags = [
            (!status.is_empty()).then(|| format!("--status {}", status.join(","))),
            (!role.is_empty()).then(|| format!("--role {}", role.join(","))),
            app.map(|app| if app { "--app" } else { "--no-app" }.to_owned()),
        ];
        let codes = tracking_codes
            .iter()
            .flat_map(|(name, values)| values.iter().map(move |value| format!("--tracking-code {name}={value}")));
        let search = search.as_ref().map(|text| format!("--search {text}"));
        f.write_str(&flags.into_iter().flatten().chain(codes).chain(search).collect::<Vec<_>>().join(" "))
    }
}

impl UserFilter {
    /// A filter for each flag, and for each tracking code.
    pub(super) fn split(self) -> Vec<Self> {
        let Self { status, role, app, tracking_codes, search } = self;
        let words =
            [Self { status, ..Self::default() }, Self { role, ..Self::default() }, Self { app, ..Self::default() }];
        let codes = tracking_codes.into_iter().map(|code| Self { tracking_codes: [code].into(), ..Self::default() });
        let filters = words.into_iter().chain(codes).chain([Self { search, ..Self::default() }]);
        filters.filter(|filter| *filter != Self::default()).collect()
    }

    pub(crate) fn from_args(args: &UserFilterArgs) -> Self {
        let app = match (args.app, args.no_app) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        };
        let mut tracking_codes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for TrackingCode { name, value } in args.tracking_code.iter().cloned() {
            tracking_codes.entry(name).or_default().push(value);
        }
        Self {
            status: args.status.clone(),
            role: args.role.clone(),
            app,
            tracking_codes,
            search: args.search.as_ref().map(|text| text.to_lowercase()),
        }
    }

    pub(crate) fn matches_published(&self, user: &PublishedUser<'_>) -> bool {
        let Self { status: _, role, app, tracking_codes, search: _ } = self;
        let has_code = |(name, values): (&String, &Vec<String>)| {
            let value = user.tracking_codes.get(name.as_str()).map_or("", |value| value);
            values.iter().any(|wanted| wanted == value)
        };
        self.matches_fields(&user.id, &user.login, &user.name, &user.status)
            && (role.is_empty() || role.iter().any(|r| *r == user.role))
            && app.is_none_or(|app| app == user.app)
            && tracking_codes.iter().all(has_code)
    }

    pub(crate) fn matches_removed(&self, user: &RemovedUser) -> bool {
        self.matches_fields(&user.id, &user.login, &user.name, &user.last_status)
    }

    fn matches_fields(&self, id: &str, login: &str, name: &str, status: &str) -> bool {
        let is = |wanted: &String| match wanted.as_str() {
            "restricted" => status.starts_with("cannot_delete_edit"),
            other => other == status,
        };
        (self.status.is_empty() || self.status.iter().any(is))
            && self
                .search
                .as_ref()
                .is_none_or(|text| [login, name, id].into_iter().any(|haystack| contains_ignore_case(haystack, text)))
    }
}

/// Whether `haystack` contains `needle`, which is in lower case.
fn contains_ignore_case(haystack: &str, needle: &str) -> bool {
    if haystack.is_ascii() && needle.is_ascii() {
        let (haystack, needle) = (haystack.as_bytes(), needle.as_bytes());
        needle.is_empty() || haystack.windows(needle.len()).any(|part| part.eq_ignore_ascii_case(needle))
    } else {
        haystack.to_lowercase().contains(needle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_whatever_its_case() {
        for (haystack, needle, found) in [
            ("Jane@Acme.com", "jane", true),
            ("jane", "", true),
            ("", "x", false),
            ("JÜRGEN", "jürgen", true),
            ("jan", "jane", false),
        ] {
            assert_eq!(contains_ignore_case(haystack, needle), found, "{haystack:?} {needle:?}");
        }
    }
}
