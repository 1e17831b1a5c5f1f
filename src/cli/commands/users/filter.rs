//! The filters of `users`. Pure.

use std::fmt;

use super::{args::UserFilterArgs, output::OutputUser};
use crate::{
    cli::exit_code::CliError,
    roster::{PublishedUser, RemovedUser},
};

/// Box's words, and `restricted`, which stands for those that begin with `cannot_delete_edit`.
const STATUSES: &[&str] = &["active", "inactive", "cannot_delete_edit", "cannot_delete_edit_upload", "restricted"];
const ROLES: &[&str] = &["admin", "coadmin", "user"];

/// Words of a filter that Box has not been known to use, until a user has one: Box may have new ones.
pub(crate) struct UnknownWords<'a> {
    statuses: Vec<&'a str>,
    roles: Vec<&'a str>,
}

impl<'a> UnknownWords<'a> {
    pub(crate) fn in_args(args: &'a UserFilterArgs) -> Self {
        let unknown = |given: &'a [String], known: &[&str]| {
            given.iter().map(String::as_str).filter(|word| !known.contains(word)).collect()
        };
        Self { statuses: unknown(&args.status, STATUSES), roles: unknown(&args.role, ROLES) }
    }

    pub(crate) fn observe(&mut self, user: &impl OutputUser) {
        self.statuses.retain(|word| *word != user.status());
        self.roles.retain(|word| Some(*word) != user.role());
    }

    /// # Errors
    /// Words that are still unknown, as a typing error would be: nobody could match them.
    pub(crate) fn check(&self) -> Result<(), CliError> {
        let unknown = |what: &str, words: &[&str], known: &[&str]| {
            let word = words.first()?;
            let distance = |known: &&&str| strsim::osa_distance(&word.to_lowercase(), known);
            let similar = known.iter().min_by_key(distance).filter(|known| distance(known) <= 2);
            let hint = similar.map(|known| format!(" Did you mean {known}?")).unwrap_or_default();
            Some(CliError::usage(format!(
                "none of these users has the {what} {word:?}, and Box is not known to use it.{hint} Known are {}.",
                known.join(", ")
            )))
        };
        let error = unknown("status", &self.statuses, STATUSES).or_else(|| unknown("role", &self.roles, ROLES));
        error.map_or(Ok(()), Err)
    }
}

/// A user must match all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UserFilter {
    pub(super) status: Vec<String>,
    pub(super) role: Vec<String>,
    /// Only app users, or only others.
    pub(super) app: Option<bool>,
    /// In lower case.
    pub(super) search: Option<String>,
}

/// As on the command line.
impl fmt::Display for UserFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, role, app, search } = self;
        let flags = [
            (!status.is_empty()).then(|| format!("--status {}", status.join(","))),
            (!role.is_empty()).then(|| format!("--role {}", role.join(","))),
            app.map(|app| if app { "--app" } else { "--no-app" }.to_owned()),
            search.as_ref().map(|text| format!("--search {text}")),
        ];
        f.write_str(&flags.into_iter().flatten().collect::<Vec<_>>().join(" "))
    }
}

impl UserFilter {
    /// A filter for each flag.
    pub(super) fn split(self) -> Vec<Self> {
        let Self { status, role, app, search } = self;
        let filters = [
            Self { status, ..Self::default() },
            Self { role, ..Self::default() },
            Self { app, ..Self::default() },
            Self { search, ..Self::default() },
        ];
        filters.into_iter().filter(|filter| *filter != Self::default()).collect()
    }

    pub(crate) fn from_args(args: &UserFilterArgs) -> Self {
        let app = match (args.app, args.no_app) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        };
        Self {
            status: args.status.clone(),
            role: args.role.clone(),
            app,
            search: args.search.as_ref().map(|text| text.to_lowercase()),
        }
    }

    pub(crate) fn matches_published(&self, user: &PublishedUser<'_>) -> bool {
        let Self { status: _, role, app, search: _ } = self;
        self.matches_fields(&user.id, &user.login, &user.name, &user.status)
            && (role.is_empty() || role.iter().any(|r| *r == user.role))
            && app.is_none_or(|app| app == user.app)
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
