//! The letter to the Box admin: which app, what is wrong, which clicks, and what happens meanwhile. Pure.
//! It is sent by mail: no secret stands in it, no user's name, and nothing that only who knows Kubernetes understands.

use jiff::Timestamp;

use super::{
    table::shown,
    words::{many, minute, wrapped},
};
use crate::api::{AuthType, Reason};

const WIDTH: usize = 78;

/// What there is to write of.
pub(super) struct Letter<'a> {
    /// As kubectl boxsync connect takes it.
    pub(super) connection: &'a str,
    pub(super) method: AuthType,
    pub(super) client_id: Option<&'a str>,
    pub(super) enterprise_id: &'a str,
    pub(super) enterprise_name: &'a str,
    /// What is wrong, and since when.
    pub(super) wrong: Option<(Reason, Timestamp)>,
    pub(super) list: Option<List>,
}

/// The list that is there.
pub(super) struct List {
    pub(super) time: Timestamp,
    pub(super) users: i64,
    pub(super) fresh_until: Option<Timestamp>,
}

/// What the admin is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plea {
    /// As at the beginning.
    Authorize,
    AuthorizeAgain,
    SignIn,
    Allow,
    Scopes,
    Credentials,
    Enterprise,
    /// Nothing now: it works.
    Nothing,
}

const CONSOLE: &str = "Open the Admin Console (https://app.box.com/master) > Integrations > Platform Apps Manager";
const DEVELOPER: &str =
    "Whoever owns the app opens it in the developer console (https://app.box.com/developers/console) > Configuration";
const SCOPES: &str = "the application scope \"Manage users\" and, under App Access Level, \"App + Enterprise Access\"";

/// What a reason asks of the admin of Box; nothing where the cause is not theirs.
const fn plea(reason: Reason, method: AuthType) -> Option<Plea> {
    Some(match (reason, method) {
        (Reason::AppNotAuthorized, _) => Plea::Authorize,
        (Reason::AuthorizationExpired, AuthType::ClientCredentials | AuthType::Jwt) => Plea::AuthorizeAgain,
        (Reason::AuthorizationExpired | Reason::RestoredTokens, AuthType::Oauth2) => Plea::SignIn,
        (Reason::AccessBlocked, _) => Plea::Allow,
        (Reason::PermissionDenied, _) => Plea::Scopes,
        (Reason::CredentialsMissing | Reason::CredentialsInvalid | Reason::CredentialsRejected, _) => Plea::Credentials,
        (Reason::EnterpriseMismatch, _) => Plea::Enterprise,
        (
            Reason::RestoredTokens
            | Reason::OAuthDisabled
            | Reason::WaitingForOperator
            | Reason::NotChecked
            | Reason::Connected
            | Reason::Syncing
            | Reason::Synced
            | Reason::LastAttemptFailed
            | Reason::Stale
            | Reason::Suspended
            | Reason::Paused
            | Reason::AuthorizationEndsSoon
            | Reason::ScheduleInvalid
            | Reason::ListTooLarge
            | Reason::RemovalsHeld
            | Reason::RosterConflict
            | Reason::RateLimited
            | Reason::BoxUnavailable
            | Reason::Internal
            | Reason::BoxResponseInvalid
            | Reason::ClockSkew
            | Reason::Pending
            | Reason::CoolingDown
            | Reason::Running
            | Reason::TooManyRequests
            | Reason::ConnectionNotFound
            | Reason::HeldListChanged,
            _,
        ) => return None,
    })
}

impl Letter<'_> {
    /// Whether the admin of Box has something to mend.
    pub(super) fn mends(&self) -> bool {
        self.wrong.is_some_and(|(reason, _)| plea(reason, self.method).is_some())
    }

    pub(super) fn text(&self) -> String {
        let wrong = self.wrong.and_then(|(reason, since)| Some((reason, since, plea(reason, self.method)?)));
        let unasked = if self.list.is_some() { Plea::Nothing } else { Plea::Authorize };
        let asked = wrong.map_or(unasked, |(_, _, plea)| plea);
        let mut parts = vec![format!("Subject: {}", self.subject(asked)), "Hello,".to_owned(), self.introduction()];
        if let Some((reason, since, _)) = wrong {
            parts.push(format!("What is wrong since {}: {}.", minute(since), reason.headline()));
        }
        let ask = match asked {
            Plea::Nothing => "You need not do anything now. Should the app ever have to be authorized anew:",
            Plea::Authorize
            | Plea::AuthorizeAgain
            | Plea::SignIn
            | Plea::Allow
            | Plea::Scopes
            | Plea::Credentials
            | Plea::Enterprise => "What we ask you to do:",
        };
        parts.push(ask.to_owned());
        let steps = self.steps(asked);
        let numbered = steps.iter().enumerate().map(|(at, step)| indented(&format!("{}. ", at + 1), step));
        let steps: Vec<String> = numbered.collect();
        parts.extend([
            self.meanwhile(),
            afterwards(asked).to_owned(),
            "There is no password and no key in this letter. Please send us none by mail either.".to_owned(),
        ]);
        let paragraph = |part: &String| match part == ask {
            true => format!("{ask}\n{}", steps.join("\n")),
            false => wrapped(&shown(part.into()), WIDTH).join("\n"),
        };
        parts.iter().map(paragraph).collect::<Vec<_>>().join("\n\n") + "\n"
    }

    fn subject(&self, plea: Plea) -> String {
        let ask = match plea {
            Plea::Authorize => "please authorize our app",
            Plea::AuthorizeAgain => "please authorize our app again",
            Plea::SignIn => "please sign in for our app again",
            Plea::Allow => "please let our app in",
            Plea::Scopes => "please let our app list users",
            Plea::Credentials => "please look after our app's credentials",
            Plea::Enterprise => "which enterprise does our app belong to?",
            Plea::Nothing => "what our app does and needs",
        };
        format!("Box enterprise {}: {ask}", self.enterprise_id)
    }

    fn enterprise(&self) -> String {
        match self.enterprise_name {
            "" => format!("enterprise {}", self.enterprise_id),
            name => format!("enterprise {} ({name})", self.enterprise_id),
        }
    }

    fn app(&self) -> String {
        match self.client_id {
            Some(id) => format!("the app with client id {id}"),
            None => "the app whose client id we send you separately".to_owned(),
        }
    }

    fn introduction(&self) -> String {
        let (how, who) = match self.method {
            AuthType::ClientCredentials => ("Server Authentication, client credentials", "by itself"),
            AuthType::Jwt => ("Server Authentication, with JWT", "by itself"),
            AuthType::Oauth2 => ("User Authentication, OAuth 2.0", "for the admin who signed in for it"),
        };
        format!(
            "We keep a copy of the list of users of your Box {}. For that {} signs in to Box {who} ({how}), reads the list of users, and changes nothing in Box. It needs {SCOPES}.",
            self.enterprise(),
            self.app()
        )
    }

    fn steps(&self, plea: Plea) -> Vec<String> {
        let apps = match self.method {
            AuthType::ClientCredentials | AuthType::Jwt => "Server Authentication Apps",
            AuthType::Oauth2 => "User Authentication Apps",
        };
        let (app, id) = (self.app(), self.client_id.unwrap_or("that we send you"));
        let open = format!("{CONSOLE} > {apps}.");
        let signing_in = format!(
            "A Box admin, or a co-admin who may manage users, opens the link that we send you (it is made by: kubectl boxsync connect {}) and chooses Grant access to Box.",
            self.connection
        );
        match (plea, self.method) {
            (Plea::Authorize | Plea::Nothing, AuthType::ClientCredentials | AuthType::Jwt) => vec![
                open,
                format!("If the app is not in the table, choose Add App and enter the client id {id}."),
                format!("See that it asks for {SCOPES}, and choose Authorize. If it is in the table already, choose Reauthorize App in its menu."),
            ],
            (Plea::Authorize | Plea::Nothing, AuthType::Oauth2) => vec![
                open,
                format!("Find the app, or choose Add App and enter the client id {id}; set it to Enabled."),
                signing_in,
            ],
            (Plea::AuthorizeAgain, _) => vec![
                open,
                format!("Find {app}. If it is gone, choose Add App and enter the client id."),
                "See that it is enabled, and choose Reauthorize App in its menu.".to_owned(),
            ],
            (Plea::SignIn, _) => vec![signing_in],
            (Plea::Allow, _) => vec![
                "Open the Admin Console (https://app.box.com/master) > Enterprise Settings > Security.".to_owned(),
                "Where logins or apps are limited to networks, add the addresses that we call from: we send you them separately.".to_owned(),
                format!("{CONSOLE}, and see that no policy there keeps out {app}."),
            ],
            (Plea::Scopes, AuthType::ClientCredentials | AuthType::Jwt) => vec![
                format!("{DEVELOPER}, chooses {SCOPES}, and saves."),
                open,
                format!("Find {app} and choose Reauthorize App in its menu: Box applies no change of scopes or access level before, each time."),
            ],
            (Plea::Scopes, AuthType::Oauth2) => vec![
                format!("{DEVELOPER}, chooses the application scope \"Manage users\", and saves."),
                open,
                "See that the app is enabled with its new scopes.".to_owned(),
                format!("{signing_in} A user who is no admin cannot list users, whatever the scopes are."),
            ],
            (Plea::Credentials, method) => {
                let new = match method {
                    AuthType::Jwt => "generates a public/private keypair, which downloads a new configuration file",
                    AuthType::ClientCredentials | AuthType::Oauth2 => "copies the client id and resets the client secret",
                };
                vec![
                    format!("{DEVELOPER}, and {new}."),
                    "They hand it over in a password manager or by another safe way, not by mail.".to_owned(),
                    format!("{open} See there that {app} is enabled and authorized."),
                ]
            }
            (Plea::Enterprise, _) => vec![
                "Open the Admin Console (https://app.box.com/master) > Account & Billing and tell us the Enterprise ID that stands there.".to_owned(),
                format!("If it is {}, the app belongs to another enterprise: please tell us the client id of an app of yours, or have one made.", self.enterprise_id),
                format!("{open} Choose Add App, enter the client id of the right app, and authorize it."),
            ],
        }
    }

    fn meanwhile(&self) -> String {
        let Some(List { time, users, fresh_until }) = &self.list else {
            return "What happens meanwhile: nothing. No list has been read yet, and nothing is deleted.".to_owned();
        };
        let good = fresh_until.map(|t| format!(" and counts as fresh until {}", minute(t))).unwrap_or_default();
        format!(
            "What happens meanwhile: our list of {} with {} stays{good}. Nothing is deleted, neither in Box nor here.",
            minute(*time),
            many(*users, "user")
        )
    }
}

/// How the answer is noticed.
const fn afterwards(plea: Plea) -> &'static str {
    match plea {
        Plea::Authorize | Plea::AuthorizeAgain | Plea::SignIn | Plea::Allow => {
            "Afterwards you need not tell us: it is noticed within 15 minutes."
        }
        Plea::Scopes => {
            "Afterwards please tell us, and we look at once. Otherwise it is noticed when the list is read the next time, mostly within a day."
        }
        Plea::Credentials => "We put them in place; that it works is noticed within a minute then.",
        Plea::Enterprise => "Afterwards please tell us: it may be our mistake.",
        Plea::Nothing => "We tell you if anything changes.",
    }
}

/// A step of the list, its number before it.
fn indented(number: &str, step: &str) -> String {
    let gap = format!("\n{:width$}", "", width = number.len() + 2);
    format!("  {number}{}", wrapped(&shown(step.into()), WIDTH - number.len() - 2).join(&gap))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::Consequence, testing::assert_generated};

    const METHODS: [(AuthType, &str); 3] =
        [(AuthType::ClientCredentials, "client credentials"), (AuthType::Jwt, "JWT"), (AuthType::Oauth2, "OAuth 2.0")];

    fn time(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn letter(reason: Option<Reason>, method: AuthType) -> Letter<'static> {
        Letter {
            connection: "acme -n backup",
            method,
            client_id: Some("6w5YXeIIBgzStZb1bififfeN116MzBNB"),
            enterprise_id: "1001",
            enterprise_name: "Acme",
            wrong: reason.map(|reason| (reason, time("2026-11-22T10:00:00Z"))),
            list: Some(List {
                time: time("2026-11-22T09:00:00Z"),
                users: 1200,
                fresh_until: Some(time("2026-11-24T09:00:00Z")),
            }),
        }
    }

    /// Every letter, by reason and method, to be read as an admin would.
    #[test]
    fn the_page_of_all_letters_is_the_one_that_was_read_last() {
        let mut page = String::from("Every letter to a Box admin. Generated: `make generate`.\n");
        for reason in [None].into_iter().chain(Reason::ALL.iter().copied().map(Some)) {
            for (method, words) in METHODS {
                let letter = letter(reason, method);
                if reason.is_none() || letter.mends() {
                    let reason = reason.map_or("Nothing is wrong", Reason::as_str);
                    page.push_str(&format!("\n== {reason}, {words}\n\n{}", letter.text()));
                }
            }
        }
        assert_generated("src/cli/letters.txt", &page);
    }

    #[test]
    fn what_disconnects_is_mended_by_a_letter_unless_it_is_the_operators_own() {
        for &reason in Reason::ALL {
            let mended = METHODS.iter().any(|(method, _)| plea(reason, *method).is_some());
            let expected = match reason.consequence() {
                Consequence::Disconnected => reason != Reason::OAuthDisabled,
                Consequence::Stalled => reason == Reason::PermissionDenied,
                Consequence::Neutral | Consequence::Retried | Consequence::Doubted | Consequence::Refused => false,
            };
            assert_eq!(mended, expected, "{reason}");
        }
    }

    #[test]
    fn what_is_not_known_yet_is_not_made_up() {
        let letter = Letter { client_id: None, enterprise_name: "", list: None, ..letter(None, AuthType::Jwt) };
        let text = letter.text().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("your Box enterprise 1001. For that the app whose client id we send you"), "{text}");
        assert!(text.contains("No list has been read yet"), "{text}");
    }
}
