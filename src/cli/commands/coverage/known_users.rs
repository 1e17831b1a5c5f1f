//! Everybody whom a published list knows: its users, those who were removed, and the earlier logins of its change log. Pure.

use std::collections::HashMap;

use super::columns::{is_login, is_user_id};
use crate::{
    api::SliceState,
    cli::{
        commands::{
            changes::change_log::parse_record,
            users::{
                args::UserFilterArgs,
                filter::{UnknownWords, UserFilter},
            },
        },
        exit_code::CliError,
    },
    roster::{ChangeOp, ChangeRecord, LIST_STATES, PublishedUser, RemovedUser, RosterSnapshot},
};

/// A user of the list.
#[derive(Debug)]
pub(crate) struct ListedUser<'a> {
    pub(crate) user: PublishedUser<'a>,
    /// Box no longer lists the user.
    pub(crate) held: bool,
    /// Whether the filters select the user.
    pub(crate) compared: bool,
}

#[derive(Debug, Default)]
pub(crate) struct KnownUsers<'a> {
    pub(crate) listed: Vec<ListedUser<'a>>,
    removed: Vec<RemovedUser>,
    /// By login in lower case.
    earlier_logins: HashMap<String, EarlierLogin>,
}

/// Who had a login that was changed.
#[derive(Debug, PartialEq, Eq)]
enum EarlierLogin {
    /// The user with this id.
    One(String),
    Several,
}

/// Every change of a login has this text: the field is a pair there, and the login of the record itself is a string.
const LOGIN_CHANGE: &str = "\"login\":[";

impl<'a> KnownUsers<'a> {
    /// # Errors
    /// A record cannot be parsed, or no user can match a filter.
    pub(crate) fn from_snapshot(snapshot: &'a RosterSnapshot, filter: &UserFilterArgs) -> Result<Self, CliError> {
        let mut unknown_words = UnknownWords::in_args(filter);
        let filter = UserFilter::from_args(filter);
        let mut known = Self::default();
        for &state in LIST_STATES {
            for line in snapshot.record_lines(state) {
                let user: PublishedUser<'a> = parse_record(line)?;
                unknown_words.observe(&user);
                let compared = filter.matches_published(&user);
                known.listed.push(ListedUser { user, held: state == SliceState::Held, compared });
            }
        }
        unknown_words.check()?;
        known.removed = snapshot.record_lines(SliceState::Removed).map(parse_record).collect::<Result<_, _>>()?;
        for line in snapshot.record_lines(SliceState::Changes).filter(|line| line.contains(LOGIN_CHANGE)) {
            known.add_change(&parse_record(line)?);
        }
        Ok(known)
    }

    fn add_change(&mut self, change: &ChangeRecord) {
        // The record of a removal lists all fields with an empty new value.
        let from =
            change.fields.get("login").filter(|_| change.op != ChangeOp::Removed).and_then(|[from, _]| from.as_str());
        let Some(from) = from.filter(|login| !login.trim().is_empty()) else { return };
        let others = |id: &EarlierLogin| *id != EarlierLogin::One(change.id.clone());
        let of = self.earlier_logins.entry(from.to_lowercase()).or_insert_with(|| EarlierLogin::One(change.id.clone()));
        if others(of) {
            *of = EarlierLogin::Several;
        }
    }
}

/// Whom a row of an export names.
#[derive(Debug)]
pub(crate) enum RowUser<'l> {
    /// Users of the list, by their positions.
    Listed(Vec<usize>),
    /// A user of the list whose login was changed.
    EarlierLogin(usize),
    Removed(&'l RemovedUser),
    /// Nobody who is or was in the list, as far as its history reaches.
    Unknown,
    /// Why it cannot be said.
    Unclear(&'static str),
}

/// Finds users by id and login.
pub(crate) struct UserIndex<'l> {
    /// Logins in lower case, sorted, with positions in the list.
    logins: Vec<(String, usize)>,
    ids: HashMap<&'l str, usize>,
    removed_logins: HashMap<String, &'l RemovedUser>,
    removed_ids: HashMap<&'l str, &'l RemovedUser>,
    earlier_logins: &'l HashMap<String, EarlierLogin>,
}

impl<'l> UserIndex<'l> {
    pub(crate) fn new(known: &'l KnownUsers<'_>) -> Self {
        let KnownUsers { listed, removed, earlier_logins } = known;
        let mut logins: Vec<(String, usize)> =
            listed.iter().enumerate().map(|(at, listed)| (listed.user.login.to_lowercase(), at)).collect();
        logins.sort_unstable();
        Self {
            logins,
            ids: listed.iter().enumerate().map(|(at, listed)| (&*listed.user.id, at)).collect(),
            removed_logins: removed.iter().map(|gone| (gone.login.to_lowercase(), gone)).collect(),
            removed_ids: removed.iter().map(|gone| (gone.id.as_str(), gone)).collect(),
            earlier_logins,
        }
    }

    /// `user`: an id or a login, in any case.
    pub(crate) fn find_named(&self, user: &str) -> RowUser<'l> {
        if is_user_id(user) {
            return self.find_id(user);
        }
        let login = user.to_lowercase();
        let first = self.logins.partition_point(|(other, _)| *other < login);
        let same = self.logins[first..].iter().take_while(|(other, _)| *other == login);
        let listed: Vec<usize> = same.map(|(_, at)| *at).collect();
        if !listed.is_empty() && !login.is_empty() {
            return RowUser::Listed(listed);
        }
        match (self.earlier_logins.get(&login), self.removed_logins.get(&login)) {
            (Some(EarlierLogin::One(id)), removed) if removed.is_none_or(|gone| gone.id == *id) => {
                match self.find_id(id) {
                    RowUser::Listed(at) => at.first().map_or(RowUser::Unknown, |at| RowUser::EarlierLogin(*at)),
                    other => other,
                }
            }
            (Some(_), _) => RowUser::Unclear("it was the login of several users in turn"),
            (None, Some(removed)) => RowUser::Removed(removed),
            (None, None) if is_login(&login) => RowUser::Unknown,
            (None, None) if login.is_empty() => RowUser::Unclear("it names no user"),
            (None, None) => RowUser::Unclear("it is neither a login nor an id"),
        }
    }

    fn find_id(&self, id: &str) -> RowUser<'l> {
        match (self.ids.get(id), self.removed_ids.get(id)) {
            (Some(at), _) => RowUser::Listed(vec![*at]),
            (None, Some(removed)) => RowUser::Removed(removed),
            (None, None) => RowUser::Unknown,
        }
    }
}

#[cfg(test)]
pub(super) mod test_users {
    use serde_json::{Value, json};

    use super::*;

    /// Users with these ids and logins, of whom the last was created at noon.
    pub(in super::super) fn known_users(users: &[(&'static str, &'static str)]) -> KnownUsers<'static> {
        let user = |(id, login): &(&'static str, &'static str)| PublishedUser {
            id: (*id).into(),
            login: (*login).into(),
            name: "Ann".into(),
            status: "active".into(),
            role: "user".into(),
            app: false,
            created_at: "2023-11-14T22:13:20Z".parse().ok(),
            job_title: "".into(),
            language: "".into(),
            timezone: "".into(),
            space_amount: 0,
            tracking_codes: Default::default(),
        };
        let listed = users.iter().map(|one| ListedUser { user: user(one), held: false, compared: true });
        KnownUsers { listed: listed.collect(), ..KnownUsers::default() }
    }

    impl KnownUsers<'_> {
        pub(in super::super) fn with_removed(mut self, id: &str, login: &str) -> Self {
            self.removed.push(RemovedUser {
                id: id.to_owned(),
                login: login.to_owned(),
                name: "Bob".to_owned(),
                last_status: "active".to_owned(),
                removed_at: "2026-11-20T08:00:00Z".parse().expect("a time"),
            });
            self
        }

        pub(in super::super) fn with_change(mut self, op: ChangeOp, id: &str, from: &str, to: Value) -> Self {
            let fields = [("login".to_owned(), [json!(from), to])].into();
            self.add_change(&ChangeRecord { op, id: id.to_owned(), login: String::new(), fields });
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{test_users::known_users, *};

    fn named(known: &KnownUsers<'_>, user: &str) -> String {
        match UserIndex::new(known).find_named(user) {
            RowUser::Listed(positions) => format!("listed {positions:?}"),
            RowUser::EarlierLogin(at) => format!("earlier {at}"),
            RowUser::Removed(gone) => format!("removed {}", gone.id),
            RowUser::Unknown => "unknown".to_owned(),
            RowUser::Unclear(why) => why.to_owned(),
        }
    }

    #[test]
    fn a_user_is_found_by_id_by_login_and_by_earlier_logins() {
        let known = known_users(&[("2001", "Ann@acme.com"), ("2002", "zoë@acme.com"), ("2003", "")])
            .with_removed("2009", "bob@acme.com")
            .with_change(ChangeOp::Updated, "2002", "ZOE@acme.com", json!("zoë@acme.com"))
            .with_change(ChangeOp::Updated, "2002", "z@acme.com", json!("zoe@acme.com"))
            .with_change(ChangeOp::Updated, "2009", "robert@acme.com", json!("bob@acme.com"))
            .with_change(ChangeOp::Removed, "2050", "zoe@acme.com", Value::Null);
        for (user, found) in [
            ("2001", "listed [0]"),
            ("ANN@ACME.COM", "listed [0]"),
            ("ZOË@acme.com", "listed [1]"),
            ("zoe@acme.com", "earlier 1"),
            ("z@acme.com", "earlier 1"),
            ("bob@acme.com", "removed 2009"),
            ("robert@acme.com", "removed 2009"),
            ("2009", "removed 2009"),
            ("2010", "unknown"),
            ("eve@acme.com", "unknown"),
            ("Total: 3", "it is neither a login nor an id"),
            ("", "it names no user"),
        ] {
            assert_eq!(named(&known, user), found, "{user:?}");
        }
    }

    #[test]
    fn a_login_that_several_users_had_is_told_to_be_unclear_unless_somebody_has_it() {
        let known = known_users(&[("2001", "ann@acme.com"), ("2002", "bob@acme.com")])
            .with_removed("2009", "old@acme.com")
            .with_change(ChangeOp::Updated, "2001", "help@acme.com", json!("ann@acme.com"))
            .with_change(ChangeOp::Updated, "2002", "help@acme.com", json!("bob@acme.com"))
            .with_change(ChangeOp::Updated, "2001", "old@acme.com", json!("ann@acme.com"))
            .with_change(ChangeOp::Updated, "2001", "bob@acme.com", json!("ann@acme.com"));
        assert_eq!(named(&known, "help@acme.com"), "it was the login of several users in turn");
        assert_eq!(named(&known, "old@acme.com"), "it was the login of several users in turn");
        assert_eq!(named(&known, "bob@acme.com"), "listed [1]");
    }

    #[test]
    fn users_who_share_a_login_are_found_together() {
        let known = known_users(&[("2001", "ann@acme.com"), ("2002", "ANN@acme.com")]);
        assert_eq!(named(&known, "ann@acme.com"), "listed [0, 1]");
    }
}
