//! Which users of a list are meant. Pure.

use super::flags::UsersFlags;
use crate::roster::{Gone, User};

/// All of it has to fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    status: Vec<String>,
    role: Vec<String>,
    /// Whether app users are meant, or all others.
    app: Option<bool>,
    /// In lower case.
    search: Option<String>,
}

impl Filter {
    pub(super) fn of(flags: &UsersFlags) -> Self {
        let app = match (flags.app, flags.no_app) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        };
        Self {
            status: flags.status.clone(),
            role: flags.role.clone(),
            app,
            search: flags.search.as_ref().map(|text| text.to_lowercase()),
        }
    }

    pub(super) fn takes(&self, user: &User<'_>) -> bool {
        let Self { status: _, role, app, search: _ } = self;
        self.knows(&user.id, &user.login, &user.name, &user.status)
            && (role.is_empty() || role.iter().any(|r| *r == user.role))
            && app.is_none_or(|app| app == user.app)
    }

    pub(super) fn takes_gone(&self, gone: &Gone) -> bool {
        self.knows(&gone.id, &gone.login, &gone.name, &gone.last_status)
    }

    fn knows(&self, id: &str, login: &str, name: &str, status: &str) -> bool {
        let is = |wanted: &String| match wanted.as_str() {
            "restricted" => status.starts_with("cannot_delete_edit"),
            other => other == status,
        };
        (self.status.is_empty() || self.status.iter().any(is))
            && self.search.as_ref().is_none_or(|text| [login, name, id].into_iter().any(|told| contains(told, text)))
    }
}

/// Whether `text`, in lower case, stands in `told`.
fn contains(told: &str, text: &str) -> bool {
    if told.is_ascii() && text.is_ascii() {
        let (told, text) = (told.as_bytes(), text.as_bytes());
        text.is_empty() || told.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text))
    } else {
        told.to_lowercase().contains(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_whatever_its_case() {
        for (told, text, found) in [
            ("Jane@Acme.com", "jane", true),
            ("jane", "", true),
            ("", "x", false),
            ("JÜRGEN", "jürgen", true),
            ("jan", "jane", false),
        ] {
            assert_eq!(contains(told, text), found, "{told:?} {text:?}");
        }
    }
}
