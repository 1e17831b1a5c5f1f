//! The email to the Box admin: the app, the problem, the steps, and what happens until then. Pure.
//! It contains no secret and no Kubernetes terms, and no user's name but in the letter about held removals.

use jiff::Timestamp;

use crate::{
    api::{AuthType, BoxEnterprise, Reason},
    cli::output::format::{format_time, pluralize, wrap_text},
};

pub(super) const WIDTH: usize = 78;

/// The content of the email.
pub(crate) struct AdminEmail<'a> {
    /// Arguments for kubectl boxsync connect.
    pub(crate) connection: &'a str,
    pub(crate) method: AuthType,
    /// The Box user that the app acts as.
    pub(crate) user_id: Option<&'a str>,
    pub(crate) client_id: Option<&'a str>,
    pub(crate) enterprise: BoxEnterprise,
    /// The problem, and since when.
    pub(crate) failure: Option<(Reason, Timestamp)>,
    pub(crate) published_list: Option<PublishedList>,
}

/// The published list.
pub(crate) struct PublishedList {
    pub(crate) time: Timestamp,
    pub(crate) users: i64,
    pub(crate) fresh_until: Option<Timestamp>,
}

/// What the Box admin must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AdminAction {
    /// The first authorization.
    Authorize,
    Reauthorize,
    SignIn,
    AllowAccess,
    GrantScopes,
    ReplaceCredentials,
    ConfirmEnterprise,
    /// It works: the email only explains the app.
    NoAction,
}

/// The last paragraph of every letter.
pub(super) const NO_SECRETS: &str = "This email contains no password or key. Please do not send any by email.";
const ADMIN_CONSOLE: &str =
    "Open the Admin Console (https://app.box.com/master) > Integrations > Platform Apps Manager";
const DEVELOPER_CONSOLE: &str =
    "The owner of the app opens it in the developer console (https://app.box.com/developers/console) > Configuration";
pub(super) const SCOPES: &str =
    "the application scope \"Manage users\" and, under App Access Level, \"App + Enterprise Access\"";

/// The action of the Box admin for a reason; `None` if a Box admin cannot fix it.
const fn admin_action(reason: Reason, method: AuthType) -> Option<AdminAction> {
    Some(match (reason, method) {
        (Reason::AppNotAuthorized, _) => AdminAction::Authorize,
        (Reason::AuthorizationExpired, AuthType::ClientCredentials | AuthType::Jwt) => AdminAction::Reauthorize,
        (Reason::AuthorizationExpired | Reason::RestoredTokens, AuthType::Oauth2) => AdminAction::SignIn,
        (Reason::AccessBlocked, _) => AdminAction::AllowAccess,
        (Reason::PermissionDenied, _) => AdminAction::GrantScopes,
        (Reason::CredentialsMissing | Reason::CredentialsInvalid | Reason::CredentialsRejected, _) => {
            AdminAction::ReplaceCredentials
        }
        (Reason::EnterpriseMismatch, _) => AdminAction::ConfirmEnterprise,
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
            | Reason::MassChange
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
            | Reason::DeadlineExceeded
            | Reason::HeldListChanged
            | Reason::VersionSkew,
            _,
        ) => return None,
    })
}

impl AdminEmail<'_> {
    /// Whether there is a problem that the Box admin must fix.
    pub(crate) fn has_action(&self) -> bool {
        self.failure.is_some_and(|(reason, _)| admin_action(reason, self.method).is_some())
    }

    pub(crate) fn render_email(&self) -> String {
        let failure =
            self.failure.and_then(|(reason, since)| Some((reason, since, admin_action(reason, self.method)?)));
        let default_action = if self.published_list.is_some() { AdminAction::NoAction } else { AdminAction::Authorize };
        let action = failure.map_or(default_action, |(_, _, action)| action);
        let mut parts = vec![format!("Subject: {}", self.subject(action)), "Hello,".to_owned(), self.introduction()];
        if let Some((reason, since, _)) = failure {
            parts.push(format!("Problem since {}: {}.", format_time(since), reason.summary()));
        }
        let heading = match action == AdminAction::NoAction {
            true => "No action is needed now. If the app must be authorized again:",
            false => "What we ask you to do:",
        };
        parts.push(heading.to_owned());
        let steps = self.steps(action);
        let numbered = steps.iter().enumerate().map(|(at, step)| numbered_step(&format!("{}. ", at + 1), step));
        let steps: Vec<String> = numbered.collect();
        // There is nothing to wait for.
        parts.extend((action != AdminAction::NoAction).then(|| self.list_paragraph()));
        parts.extend([follow_up(action).to_owned(), NO_SECRETS.to_owned()]);
        let paragraph = |part: &String| match part == heading {
            true => format!("{heading}\n{}", steps.join("\n")),
            false => wrap_text(part, WIDTH).join("\n"),
        };
        parts.iter().map(paragraph).collect::<Vec<_>>().join("\n\n") + "\n"
    }

    fn subject(&self, action: AdminAction) -> String {
        let request = match action {
            AdminAction::Authorize => "please authorize our app",
            AdminAction::Reauthorize => "please authorize our app again",
            AdminAction::SignIn => "please sign in for our app again",
            AdminAction::AllowAccess => "please allow our app to access Box",
            AdminAction::GrantScopes => "please allow our app to list users",
            AdminAction::ReplaceCredentials => "please renew our app's credentials",
            AdminAction::ConfirmEnterprise => "which enterprise does our app belong to?",
            AdminAction::NoAction => "what our app does and needs",
        };
        format!("Box enterprise {}: {request}", self.enterprise.id)
    }

    fn app(&self) -> String {
        match self.client_id {
            Some(id) => format!("the app with client id {id}"),
            None => "the app whose client id we send you separately".to_owned(),
        }
    }

    pub(super) fn introduction(&self) -> String {
        let (how, who) = match self.method {
            AuthType::ClientCredentials => ("Server Authentication, client credentials", "by itself"),
            AuthType::Jwt => ("Server Authentication, with JWT", "by itself"),
            AuthType::Oauth2 => ("User Authentication, OAuth 2.0", "for the admin who signed in for it"),
        };
        let who = self.user_id.map_or(who.to_owned(), |user| format!("as the user with id {user}"));
        format!(
            "We keep a copy of the user list of your Box enterprise {}. To do so, {} signs in to Box {who} ({how}) and only reads the list of users. It needs {SCOPES}.",
            self.enterprise,
            self.app()
        )
    }

    fn steps(&self, action: AdminAction) -> Vec<String> {
        let mut steps = self.steps_for_app(action);
        if let (AdminAction::Authorize | AdminAction::GrantScopes, Some(user)) = (action, self.user_id) {
            steps.push(format!(
                "Check that user {user} is an admin, or a co-admin who may manage users. {DEVELOPER_CONSOLE}, and checks under Advanced Features that \"Generate user access tokens\" is on."
            ));
        }
        steps
    }

    fn steps_for_app(&self, action: AdminAction) -> Vec<String> {
        let apps = match self.method {
            AuthType::ClientCredentials | AuthType::Jwt => "Server Authentication Apps",
            AuthType::Oauth2 => "User Authentication Apps",
        };
        let (app, id) = (self.app(), self.client_id.unwrap_or("that we send you"));
        let open = format!("{ADMIN_CONSOLE} > {apps}.");
        let signing_in = format!(
            "A Box admin, or a co-admin who may manage users, opens the link that we send you (created by: kubectl boxsync connect {}) and chooses Grant access to Box.",
            self.connection
        );
        match (action, self.method) {
            (AdminAction::Authorize | AdminAction::NoAction, AuthType::ClientCredentials | AuthType::Jwt) => vec![
                open,
                format!("If the app is not in the table, choose Add App and enter the client id {id}."),
                format!("Check that it requests {SCOPES}, and choose Authorize. If it is in the table already, choose Reauthorize App in its menu."),
            ],
            (AdminAction::Authorize | AdminAction::NoAction, AuthType::Oauth2) => vec![
                open,
                format!("Find the app, or choose Add App and enter the client id {id}; set it to Enabled."),
                signing_in,
            ],
            (AdminAction::Reauthorize, _) => vec![
                open,
                format!("Find {app}. If it is gone, choose Add App and enter the client id."),
                "Check that it is enabled, and choose Reauthorize App in its menu.".to_owned(),
            ],
            (AdminAction::SignIn, _) => vec![signing_in],
            (AdminAction::AllowAccess, _) => vec![
                "Open the Admin Console (https://app.box.com/master) > Enterprise Settings > Security.".to_owned(),
                "If access is limited to certain networks, add the addresses that we call from: we send them separately.".to_owned(),
                format!("{ADMIN_CONSOLE}, and check that no policy there blocks {app}."),
            ],
            (AdminAction::GrantScopes, AuthType::ClientCredentials | AuthType::Jwt) => vec![
                format!("{DEVELOPER_CONSOLE}, chooses {SCOPES}, and saves."),
                open,
                format!("Find {app} and choose Reauthorize App in its menu: Box applies changes of scopes or access level only after that."),
            ],
            (AdminAction::GrantScopes, AuthType::Oauth2) => vec![
                format!("{DEVELOPER_CONSOLE}, chooses the application scope \"Manage users\", and saves."),
                open,
                "Check that the app is enabled with its new scopes.".to_owned(),
                format!("{signing_in} A user who is not an admin cannot list users, whatever the scopes."),
            ],
            (AdminAction::ReplaceCredentials, method) => {
                let new = match method {
                    AuthType::Jwt => "generates a public/private keypair, which downloads a new configuration file",
                    AuthType::ClientCredentials | AuthType::Oauth2 => "copies the client id and resets the client secret",
                };
                vec![
                    format!("{DEVELOPER_CONSOLE}, and {new}."),
                    "Please send it through a password manager or another secure channel, not by email.".to_owned(),
                    format!("{open} Check there that {app} is enabled and authorized."),
                ]
            }
            (AdminAction::ConfirmEnterprise, _) => vec![
                "Open the Admin Console (https://app.box.com/master) > Account & Billing and tell us the Enterprise ID shown there.".to_owned(),
                format!("If it is {}, the app belongs to another enterprise: please tell us the client id of an app of yours, or create one.", self.enterprise.id),
                format!("{open} Choose Add App, enter the client id of the right app, and authorize it."),
            ],
        }
    }

    pub(super) fn list_paragraph(&self) -> String {
        let Some(PublishedList { time, users, fresh_until }) = &self.published_list else {
            return "No list has been read yet, and nothing is deleted.".to_owned();
        };
        let freshness =
            fresh_until.map(|t| format!(" and counts as fresh until {}", format_time(t))).unwrap_or_default();
        let list = format!("our list of {} with {}", format_time(*time), pluralize(*users, "user"));
        format!("Until then, {list} stays{freshness}. Nothing is deleted, in Box or here.")
    }
}

/// How the fix is detected.
const fn follow_up(action: AdminAction) -> &'static str {
    match action {
        AdminAction::Authorize | AdminAction::Reauthorize | AdminAction::SignIn | AdminAction::AllowAccess => {
            "No reply needed: we detect it within 15 minutes."
        }
        AdminAction::GrantScopes => {
            "Please tell us afterwards, and we check at once. Otherwise we detect it when the list is next read, usually within a day."
        }
        AdminAction::ReplaceCredentials => "We install them; success is detected within a minute.",
        AdminAction::ConfirmEnterprise => "Please tell us afterwards: it may be our mistake.",
        AdminAction::NoAction => "We will tell you if anything changes.",
    }
}

/// A numbered step.
pub(super) fn numbered_step(number: &str, step: &str) -> String {
    let gap = format!("\n{:width$}", "", width = number.len() + 2);
    format!("  {number}{}", wrap_text(step, WIDTH - number.len() - 2).join(&gap))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{api::FailureClass, test_support::assert_generated};

    const METHODS: [(AuthType, &str); 3] =
        [(AuthType::ClientCredentials, "client credentials"), (AuthType::Jwt, "JWT"), (AuthType::Oauth2, "OAuth 2.0")];

    fn timestamp(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    pub(crate) fn email_for(reason: Option<Reason>, method: AuthType) -> AdminEmail<'static> {
        AdminEmail {
            connection: "acme -n backup",
            method,
            user_id: None,
            client_id: Some("6w5YXeIIBgzStZb1bififfeN116MzBNB"),
            enterprise: BoxEnterprise { id: "1001".to_owned(), name: "Acme".to_owned() },
            failure: reason.map(|reason| (reason, timestamp("2026-11-22T10:00:00Z"))),
            published_list: Some(PublishedList {
                time: timestamp("2026-11-22T09:00:00Z"),
                users: 1200,
                fresh_until: Some(timestamp("2026-11-24T09:00:00Z")),
            }),
        }
    }

    /// Every email, by reason and method, for review.
    #[test]
    fn the_generated_emails_are_up_to_date() {
        let mut page = String::from("Every email to a Box admin. Generated: `make generate`.\n");
        for reason in [None].into_iter().chain(Reason::ALL.iter().copied().map(Some)) {
            for (method, words) in METHODS {
                let email = email_for(reason, method);
                if reason.is_none() || email.has_action() {
                    let reason = reason.map_or("No problem", Reason::as_str);
                    page.push_str(&format!("\n== {reason}, {words}\n\n{}", email.render_email()));
                }
            }
        }
        page.push_str(&super::super::removals_letter::tests::every_letter());
        assert_generated("tests/snapshots/letters.txt", &page);
    }

    #[test]
    fn every_disconnecting_reason_has_an_admin_action_except_the_operators_own() {
        for &reason in Reason::ALL {
            let has_action = METHODS.iter().any(|(method, _)| admin_action(reason, *method).is_some());
            let expected = match reason.failure_class() {
                FailureClass::Disconnected => reason != Reason::OAuthDisabled,
                FailureClass::Stalled => reason == Reason::PermissionDenied,
                FailureClass::Neutral
                | FailureClass::Transient
                | FailureClass::Suspect
                | FailureClass::RequestRejected => false,
            };
            assert_eq!(has_action, expected, "{reason}");
        }
    }

    #[test]
    fn an_app_that_acts_as_a_user_says_so_and_what_that_needs() {
        let email = AdminEmail { user_id: Some("42"), ..email_for(Some(Reason::AppNotAuthorized), AuthType::Jwt) };
        let text = email.render_email().split_whitespace().collect::<Vec<_>>().join(" ");
        for words in
            ["signs in to Box as the user with id 42", "user 42 is an admin", "\"Generate user access tokens\""]
        {
            assert!(text.contains(words), "{words}: {text}");
        }
    }

    #[test]
    fn unknown_values_are_left_out() {
        let enterprise = BoxEnterprise { id: "1001".to_owned(), name: String::new() };
        let email = AdminEmail { client_id: None, enterprise, published_list: None, ..email_for(None, AuthType::Jwt) };
        let text = email.render_email().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("your Box enterprise 1001. To do so, the app whose client id we send you"), "{text}");
        assert!(text.contains("No list has been read yet"), "{text}");
    }
}
