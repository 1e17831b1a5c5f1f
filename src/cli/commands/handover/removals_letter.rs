//! The letter that asks a Box admin whether the users whose removal is held have left. Pure. It names them: nobody can
//! answer otherwise. It contains no secret and no Kubernetes terms.

use super::email::{AdminEmail, NO_SECRETS, SCOPES, WIDTH, numbered_step};
use crate::{
    api::RemovalHold,
    cli::output::format::{display_login, format_number, format_time, pluralize, wrap_text},
    roster::PublishedUser,
    text::{clamp_text, clean_line},
};

/// A letter with more names is not read.
const MAX_NAMED: usize = 100;
/// Box allows longer names and logins.
const MAX_NAME_CHARS: usize = 80;

/// The content of the letter besides that of every letter.
pub(super) struct RemovalsLetter<'a> {
    pub(super) email: &'a AdminEmail<'a>,
    pub(super) hold: &'a RemovalHold,
    /// As far as they are known.
    pub(super) users: Option<&'a [PublishedUser<'a>]>,
    /// Whether they are those of an older list.
    pub(super) older: bool,
}

impl RemovalsLetter<'_> {
    pub(super) fn render_letter(&self) -> String {
        let Self { email, hold, .. } = self;
        let enterprise = &email.enterprise.id;
        let these = pluralize(hold.removals, "user");
        let wrap = |text: &str| wrap_text(text, WIDTH).join("\n");
        let steps = self.steps();
        let numbered = steps.iter().enumerate().map(|(at, step)| numbered_step(&format!("{}. ", at + 1), step));
        let question = format!("What we ask you to do:\n{}", numbered.collect::<Vec<_>>().join("\n"));
        let mut parts = vec![
            wrap(&format!("Subject: Box enterprise {enterprise}: did {these} leave?")),
            "Hello,".to_owned(),
            wrap(&email.introduction()),
            wrap(&format!(
                "{} of the {} in our list are missing: Box has not listed them to our app since {}. Either they left the enterprise, or the app no longer sees them. We cannot tell which, so we have not removed them.",
                format_number(hold.removals),
                pluralize(hold.total, "user"),
                format_time(hold.time.0)
            )),
            question,
        ];
        // A list that names nobody may be damaged: nothing is said of it.
        match self.users {
            Some(_) => parts.extend([
                wrap(&email.list_paragraph()),
                wrap("Until you answer, the missing users stay in our list, as they were when Box last listed them. Those who come back to Box's list need no answer."),
            ]),
            None => parts.push("Until you answer, we remove nobody. Nothing is deleted in Box.".to_owned()),
        }
        parts.extend(self.names());
        let personal =
            if self.users.is_some() { "This email contains personal data: please answer only to us. " } else { "" };
        parts.push(wrap(&format!("{personal}{NO_SECRETS}")));
        parts.join("\n\n") + "\n"
    }

    fn steps(&self) -> Vec<String> {
        let users = "Open the Admin Console (https://app.box.com/master) > Users & Groups";
        let look = match self.users {
            Some(_) => format!("{users} and search for some of the users named below, by login."),
            None => format!(
                "{users}, and check whether about {} were deleted or moved to another enterprise around {}.",
                pluralize(self.hold.removals, "user"),
                format_time(self.hold.time.0)
            ),
        };
        let account = self.email.user_id.map_or_else(String::new, |user| {
            format!(" Check too that user {user} is still an admin, or a co-admin who may manage all users.")
        });
        vec![
            look,
            "If all of them left, please answer: \"remove them\".".to_owned(),
            format!(
                "If they are still there, please answer: \"keep them\", and check that the app still has {SCOPES}.{account}"
            ),
            "If only some of them left, please answer with the logins of those who are still there: we can only remove all of them, or nobody.".to_owned(),
        ]
    }

    /// The users, one a line.
    fn names(&self) -> Option<String> {
        let users = self.users?;
        let line = |user: &PublishedUser<'_>| {
            let short = |text: &str| clamp_text(text, MAX_NAME_CHARS);
            let who = display_login(&user.login, &user.id).into_owned();
            clean_line(&format!("  {} ({}, id {})", short(&who), short(&user.name), short(&user.id))).into_owned()
        };
        let mut lines: Vec<String> = vec![if self.older {
            "The users, by an older list, which can differ in some of them:".to_owned()
        } else {
            "The users:".to_owned()
        }];
        lines.extend(users.iter().take(MAX_NAMED).map(line));
        if let Some(more) = users.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
            let more = format_number(i64::try_from(more).unwrap_or(i64::MAX));
            lines.push(format!("  and {more} more, whom we name on request"));
        }
        Some(lines.join("\n"))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::{super::email::tests::email_for, *};
    use crate::api::AuthType;

    fn letter_for(users: Option<&[PublishedUser<'_>]>, user_id: Option<&str>, older: bool) -> String {
        let email = AdminEmail { user_id, ..email_for(None, AuthType::Jwt) };
        let time = Time("2026-11-22T08:00:00Z".parse().expect("a time"));
        let hold = RemovalHold { time, removals: 250, total: 1200, digest: "d".to_owned(), unconfirmed: 0 };
        RemovalsLetter { email: &email, hold: &hold, users, older }.render_letter()
    }

    fn users(lines: &[String]) -> Vec<PublishedUser<'_>> {
        lines.iter().map(|line| serde_json::from_str(line).expect("a user")).collect()
    }

    fn lines(count: usize) -> Vec<String> {
        let line = |n: usize| {
            format!(
                r#"{{"id":"{n}","login":"user{n}@acme.com","name":"User {n}","status":"active","role":"user","app":false,"jobTitle":"","language":"","timezone":"","spaceAmount":0}}"#
            )
        };
        (1..=count).map(line).collect()
    }

    /// For the snapshot of all letters.
    pub(crate) fn every_letter() -> String {
        let lines = lines(3);
        let users = users(&lines);
        [
            ("Held removals, JWT", Some(&users[..]), None, false),
            ("Held removals, the app acts as a user, named by an older list", Some(&users[..]), Some("42"), true),
            ("Held removals, names unknown", None, None, false),
        ]
        .into_iter()
        .map(|(title, users, user_id, older)| format!("\n== {title}\n\n{}", letter_for(users, user_id, older)))
        .collect()
    }

    #[test]
    fn the_names_are_bounded_in_number_and_length() {
        let mut lines = lines(250);
        lines[0] = lines[0].replace("User 1", &"\u{202e}long".repeat(100));
        let letter = letter_for(Some(&users(&lines)), None, false);
        assert_eq!(letter.matches("@acme.com (").count(), MAX_NAMED);
        assert!(letter.contains("\n  and 150 more, whom we name on request\n"), "{letter}");
        assert!(letter.lines().all(|line| line.chars().count() < 200) && !letter.contains('\u{202e}'), "{letter}");
    }
}
