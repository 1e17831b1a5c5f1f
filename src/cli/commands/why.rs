//! `why`: explains why a user is or is not in the list.

use std::collections::HashSet;

use clap::Args;

use super::{
    changes::change_log::{
        ChangeLine, RevisionChanges, collect_revisions, format_field_changes, parse_record, same_login,
    },
    similar_logins::similar_logins,
    users::{self, output::format_tracking_codes},
};
use crate::{
    api::{BoxConnection, RosterContent, SliceState},
    cli::{
        exit_code::{CliError, ExitStatus},
        io::Io,
        kube_context::KubeContext,
        output::format::{display_login, format_requested_by, format_time, pluralize},
    },
    roster::{ChangeOp, PublishedUser, RemovedUser, RosterSnapshot},
    text::clean_line,
};

#[derive(Args, Debug)]
pub(crate) struct WhyArgs {
    /// The connection
    pub(crate) name: String,
    /// The user to look up
    #[arg(value_name = "LOGIN|ID")]
    pub(crate) login_or_id: String,
}

pub(crate) const ALL_STATES: &[SliceState] =
    &[SliceState::Live, SliceState::Held, SliceState::Removed, SliceState::Changes];

/// Everything that is known about the users of a connection.
struct UserLookup<'a> {
    connection: &'a str,
    namespace: &'a str,
    roster: &'a RosterContent,
    /// When the list was last complete; `None` if the connection cannot be read.
    list_time: Option<jiff::Timestamp>,
    live: Vec<PublishedUser<'a>>,
    held: Vec<PublishedUser<'a>>,
    removed: Vec<RemovedUser>,
    revisions: Vec<RevisionChanges<'a>>,
}

/// The explanations, most relevant first, and whether the user is listed.
#[derive(Debug, PartialEq, Eq)]
enum Explanation {
    Listed(Vec<String>),
    NotListed(Vec<String>),
}

pub(crate) async fn run(args: &WhyArgs, kube: &KubeContext, io: &mut Io<'_>) -> Result<ExitStatus, CliError> {
    let snapshot = users::read_list(kube, &args.name, ALL_STATES, io.clock.now()).await?;
    // The caller may have access to lists but not to connections: then the time of the list is left out.
    let connection = kube.get_connection(&args.name).await.ok();
    let lookup = UserLookup::from_snapshot(&snapshot, connection.as_ref(), &args.name, &kube.namespace)?;
    let (lines, exit) = match lookup.explain(args.login_or_id.trim()) {
        Explanation::Listed(lines) => (lines, ExitStatus::Success),
        Explanation::NotListed(lines) => (lines, ExitStatus::Failure),
    };
    for line in lines {
        writeln!(io.out, "{}", clean_line(&line))?;
    }
    Ok(exit)
}

/// Why there can be no changes of a user: nobody with this login or id is in the list or in its change log. `None` if
/// somebody is. The snapshot is of [`ALL_STATES`].
pub(crate) fn explain_unknown_user(
    snapshot: &RosterSnapshot,
    name: &str,
    namespace: &str,
    login_or_id: &str,
) -> Result<Option<String>, CliError> {
    let lookup = UserLookup::from_snapshot(snapshot, None, name, namespace)?;
    if lookup.knows(login_or_id) {
        return Ok(None);
    }
    let similar = lookup.similar_logins(login_or_id).join(", ");
    let similar = if similar.is_empty() { String::new() } else { format!(" Similar: {similar}.") };
    Ok(Some(format!(
        "nobody with the login or id {login_or_id} is in the list of {name} (revision {}, {}) or in its change log. {}{similar} See kubectl boxsync why {name} {login_or_id} -n {namespace}.",
        lookup.roster.revision,
        pluralize(lookup.roster.users.total, "user"),
        lookup.never_listed_since()
    )))
}

impl<'a> UserLookup<'a> {
    fn from_snapshot(
        snapshot: &'a RosterSnapshot,
        connection: Option<&BoxConnection>,
        name: &'a str,
        namespace: &'a str,
    ) -> Result<Self, CliError> {
        let users = |state| {
            snapshot.record_lines(state).map(parse_record).collect::<Result<Vec<PublishedUser<'a>>, CliError>>()
        };
        let last = connection.and_then(|c| c.status.as_ref()?.last_sync.as_ref());
        Ok(Self {
            connection: name,
            namespace,
            roster: &snapshot.roster.spec,
            list_time: last.map(|last| last.completion_time.0),
            live: users(SliceState::Live)?,
            held: users(SliceState::Held)?,
            removed: snapshot.record_lines(SliceState::Removed).map(parse_record).collect::<Result<_, CliError>>()?,
            revisions: collect_revisions(snapshot, None)?,
        })
    }

    fn knows(&self, login_or_id: &str) -> bool {
        let is = |id: &str, login: &str| id == login_or_id || same_login(login, login_or_id);
        self.live.iter().chain(&self.held).any(|user| is(&user.id, &user.login))
            || self.removed.iter().any(|user| is(&user.id, &user.login))
            || self.changes_of(login_or_id).next().is_some()
    }

    fn explain(&self, login_or_id: &str) -> Explanation {
        let is = |user: &&PublishedUser<'_>| user.id == login_or_id || same_login(&user.login, login_or_id);
        let mut lines: Vec<String> = self.live.iter().filter(is).map(|user| self.listed_message(user)).collect();
        lines.extend(self.held.iter().filter(is).map(|user| self.held_message(user)));
        let listed = !lines.is_empty();
        lines.extend(self.renamed_messages(login_or_id));
        // By a previous login, too.
        let changed_ids: HashSet<&str> =
            self.changes_of(login_or_id).map(|(_, line)| line.change.id.as_str()).collect();
        let was_user = |gone: &&RemovedUser| {
            gone.id == login_or_id || same_login(&gone.login, login_or_id) || changed_ids.contains(gone.id.as_str())
        };
        let mut removed: Vec<&RemovedUser> = self.removed.iter().filter(was_user).collect();
        removed.sort_by_key(|gone| std::cmp::Reverse(gone.removed_at));
        lines.extend(removed.into_iter().map(|gone| self.removed_message(gone)));
        if listed {
            return Explanation::Listed(lines);
        }
        if lines.is_empty() {
            lines.extend(self.last_change_message(login_or_id));
        }
        if lines.is_empty() {
            lines = self.not_found_messages(login_or_id);
        }
        Explanation::NotListed(lines)
    }

    fn listed_message(&self, user: &PublishedUser<'_>) -> String {
        let changed = self
            .newest_change(&user.id, ChangeOp::Updated)
            .map(|(revision, what)| format!(" Last changed in {}: {what}.", format_revision(revision)));
        format!(
            "{} is in the list of {} {}.{}{}",
            format_user(user),
            self.connection,
            self.listed_since(&user.id),
            format_codes(user),
            changed.unwrap_or_default()
        )
    }

    /// Since when a user is in the list, as far as the change log reaches.
    fn listed_since(&self, id: &str) -> String {
        let added_in = self.revisions.iter().find(|revision| {
            revision.changes.iter().flatten().any(|line| {
                let was_removed = || line.change.fields.get("state").is_some_and(|[from, _]| from == "removed");
                line.change.id == id
                    && match line.change.op {
                        ChangeOp::Added => true,
                        ChangeOp::Returned => was_removed(),
                        ChangeOp::Updated | ChangeOp::Removed | ChangeOp::Held => false,
                    }
            })
        });
        let revisions_without_changes: Vec<&RevisionChanges<'_>> =
            self.revisions.iter().filter(|r| r.changes.is_none() && r.entry.added > 0).collect();
        match (added_in, revisions_without_changes.as_slice(), self.revisions.last()) {
            (Some(revision), _, _) => format!("since {}", format_revision(revision)),
            (None, [only], Some(first)) if only.entry.revision == 1 && first.entry.revision == 1 => {
                format!("since {}, the first", format_revision(only))
            }
            (None, [newest, ..], _) => {
                format!(
                    "since {} or earlier (the changes of that revision are not listed individually)",
                    format_revision(newest)
                )
            }
            (None, [], Some(first)) => format!("since before revision {} of the change log", first.entry.revision),
            (None, [], None) => format!("since revision {} or earlier", self.roster.revision),
        }
    }

    fn held_message(&self, user: &PublishedUser<'_>) -> String {
        let Self { connection, namespace, .. } = self;
        let since = match self.newest_change(&user.id, ChangeOp::Held) {
            Some((revision, _)) => format!("since {}", format_revision(revision)),
            None => self
                .roster
                .held
                .as_ref()
                .map_or_else(String::new, |held| format!("since {} or earlier", format_time(held.time.0))),
        };
        format!(
            "{} is in the list of {connection}, but Box has not listed this user {since}: the removal is held with others.{} After reviewing them, approve with kubectl boxsync approve {connection} -n {namespace}.",
            format_user(user),
            format_codes(user)
        )
    }

    /// Explains that a login was renamed.
    fn renamed_messages(&self, login_or_id: &str) -> Vec<String> {
        let changed = self.changes_of(login_or_id).filter(|(_, line)| {
            let from = line.change.fields.get("login").and_then(|[from, _]| from.as_str());
            // The record of a removal lists all fields with an empty new value.
            line.change.op != ChangeOp::Removed && from.is_some_and(|from| same_login(from, login_or_id))
        });
        let current_user = |id: &str| {
            self.live
                .iter()
                .chain(&self.held)
                .find(|user| user.id == id)
                .filter(|user| !same_login(&user.login, login_or_id))
        };
        let named_now =
            changed.filter_map(|(revision, line)| current_user(&line.change.id).map(|user| (revision, user)));
        let line = |(revision, user): (&RevisionChanges<'_>, &PublishedUser<'_>)| {
            format!(
                "{login_or_id} was the login of {} until {}: the user is in the list under another login.",
                format_user(user),
                format_revision(revision)
            )
        };
        named_now.take(1).map(line).collect()
    }

    fn removed_message(&self, user: &RemovedUser) -> String {
        format!(
            "{} ({}{}, last {}) was removed from the list of {} on {}: Box no longer lists this user. If that is wrong, a Box admin can check in the Admin Console.",
            display_login(&user.login, &user.id),
            id_after_login(&user.login, &user.id),
            user.name,
            user.last_status,
            self.connection,
            format_time(user.removed_at)
        )
    }

    /// The last change of a user who is only in the change log.
    fn last_change_message(&self, login_or_id: &str) -> Option<String> {
        let (revision, line) = self.changes_of(login_or_id).next()?;
        let what = line.change.op.as_str();
        Some(format!(
            "{login_or_id} is not in the list of {}; last change in {} ({what}).",
            self.connection,
            format_revision(revision)
        ))
    }

    /// The changes of a user, newest first.
    fn changes_of(&self, login_or_id: &str) -> impl Iterator<Item = (&RevisionChanges<'a>, &ChangeLine<'a>)> {
        let lines = self.revisions.iter().flat_map(|r| r.changes.iter().flatten().map(move |line| (r, line)));
        lines.filter(move |(_, line)| line.concerns_user(login_or_id))
    }

    fn not_found_messages(&self, login_or_id: &str) -> Vec<String> {
        let Self { connection, namespace, roster, .. } = self;
        let list = match self.list_time {
            Some(time) => format!("list of {}", format_time(time)),
            None => "list".to_owned(),
        };
        let mut lines = vec![format!(
            "{login_or_id} is not in the {list} of {connection} (revision {}, {}). {}",
            roster.revision,
            pluralize(roster.users.total, "user"),
            self.never_listed_since()
        )];
        let similar = self.similar_logins(login_or_id);
        if !similar.is_empty() {
            lines.push(format!("Similar: {}.", similar.join(", ")));
        }
        lines.push(
            "Box cannot list external users (collaborators of other enterprises) or pending invitations.".to_owned(),
        );
        lines.push(format!(
            "A user who was added just now appears after kubectl boxsync sync {connection} -n {namespace} --wait."
        ));
        lines
    }

    /// From when on it is known that a user who appears nowhere was not in the list, and why not from earlier on.
    fn never_listed_since(&self) -> String {
        // The users of the first revision are in the list, or their removal is a change of a later one.
        let in_numbers = self.revisions.iter().find(|r| r.changes.is_none() && r.entry.revision > 1);
        let published = self.roster.revision_time.0;
        let to = format_time(self.list_time.map_or(published, |time| time.max(published)));
        match (in_numbers, self.revisions.last()) {
            (Some(revision), _) => format!(
                "Whether this user was in an earlier list is unknown before {}, whose changes are told in numbers only; from then to {to} it was not.",
                format_revision(revision)
            ),
            (None, Some(first)) if first.entry.revision == 1 => {
                format!(
                    "This user was not in the list from {}, the first list, to {to}.",
                    format_time(first.entry.time.0)
                )
            }
            (None, Some(first)) => format!(
                "This user was not in the list from {} to {to}; whether it was before is unknown, since older changes are not kept.",
                format_time(first.entry.time.0)
            ),
            (None, None) => {
                "Whether this user was in an earlier list is unknown, since no changes are kept.".to_owned()
            }
        }
    }

    fn similar_logins(&self, wanted: &str) -> Vec<&str> {
        similar_logins(wanted, self.live.iter().chain(&self.held).map(|user| &*user.login))
    }

    /// The newest change of this kind of the user.
    fn newest_change(&self, id: &str, op: ChangeOp) -> Option<(&RevisionChanges<'a>, String)> {
        self.revisions.iter().find_map(|revision| {
            let mut lines = revision.changes.iter().flatten();
            let line = lines.find(|line| line.change.id == id && line.change.op == op)?;
            Some((revision, format_field_changes(&line.change)))
        })
    }
}

fn format_revision(revision: &RevisionChanges<'_>) -> String {
    let entry = revision.entry;
    format!(
        "revision {} ({}{})",
        entry.revision,
        format_time(entry.time.0),
        format_requested_by(", ", &entry.requested_by)
    )
}

fn format_user(user: &PublishedUser<'_>) -> String {
    let PublishedUser { id, login, name, status, role, .. } = user;
    format!("{} ({}{name}, {status}, {role})", display_login(login, id), id_after_login(login, id))
}

/// ` Tracking codes: …`, if there are any.
fn format_codes(user: &PublishedUser<'_>) -> String {
    match user.tracking_codes.is_empty() {
        true => String::new(),
        false => format!(" Tracking codes: {}.", format_tracking_codes(&user.tracking_codes)),
    }
}

/// The id, where the user is not told by it already.
fn id_after_login(login: &str, id: &str) -> String {
    if login.trim().is_empty() { String::new() } else { format!("id {id}, ") }
}
