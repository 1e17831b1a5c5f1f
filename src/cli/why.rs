//! `why`: why somebody is or is not in the list.

use std::collections::HashSet;

use super::{
    changes::differences,
    desk::Desk,
    exit::{Exit, Stop},
    flags::WhyFlags,
    record::{Line, Revision, parsed, revisions, same},
    site::Site,
    table::shown,
    users,
    words::{asked, many, minute},
};
use crate::{
    api::{BoxConnection, RosterContent, SliceState},
    roster::{Gone, Op, Snapshot, User},
};

const EVERYTHING: &[SliceState] = &[SliceState::Live, SliceState::Held, SliceState::Removed, SliceState::Changes];
const MOST_NEAR: usize = 3;

/// What is known.
struct Evidence<'a> {
    connection: &'a str,
    namespace: &'a str,
    roster: &'a RosterContent,
    /// When the list was last found to be so, where that may be known.
    list_time: Option<jiff::Timestamp>,
    live: Vec<User<'a>>,
    held: Vec<User<'a>>,
    gone: Vec<Gone>,
    record: Vec<Revision<'a>>,
}

/// What is to be said, the best first, and whether the list has the user.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Listed(Vec<String>),
    NotListed(Vec<String>),
}

pub(super) async fn run(flags: &WhyFlags, site: &Site, desk: &mut Desk<'_>) -> Result<Exit, Stop> {
    let snapshot = users::read(site, &flags.name, EVERYTHING).await?;
    // Who may read lists need not be allowed to read connections; then it is said without this time.
    let connection = site.connection(&flags.name).await.ok();
    let evidence = Evidence::of(&snapshot, connection.as_ref(), &flags.name, &site.namespace)?;
    let (lines, exit) = match evidence.answer(flags.who.trim()) {
        Answer::Listed(lines) => (lines, Exit::Fine),
        Answer::NotListed(lines) => (lines, Exit::NotSo),
    };
    for line in lines {
        writeln!(desk.out, "{}", shown(line.into()))?;
    }
    Ok(exit)
}

impl<'a> Evidence<'a> {
    fn of(
        snapshot: &'a Snapshot,
        connection: Option<&BoxConnection>,
        name: &'a str,
        namespace: &'a str,
    ) -> Result<Self, Stop> {
        let users = |state| snapshot.lines(state).map(parsed).collect::<Result<Vec<User<'a>>, Stop>>();
        let last = connection.and_then(|c| c.status.as_ref()?.last_sync.as_ref());
        Ok(Self {
            connection: name,
            namespace,
            roster: &snapshot.roster.spec,
            list_time: last.map(|last| last.completion_time.0),
            live: users(SliceState::Live)?,
            held: users(SliceState::Held)?,
            gone: snapshot.lines(SliceState::Removed).map(parsed).collect::<Result<_, Stop>>()?,
            record: revisions(snapshot, None)?,
        })
    }

    fn answer(&self, who: &str) -> Answer {
        let is = |user: &&User<'_>| user.id == who || same(&user.login, who);
        let mut lines: Vec<String> = self.live.iter().filter(is).map(|user| self.listed(user)).collect();
        lines.extend(self.held.iter().filter(is).map(|user| self.is_held(user)));
        let listed = !lines.is_empty();
        lines.extend(self.renamed(who));
        // By the login of before, too.
        let told: HashSet<&str> = self.told_of(who).map(|(_, line)| line.changed.id.as_str()).collect();
        let was = |gone: &&Gone| gone.id == who || same(&gone.login, who) || told.contains(gone.id.as_str());
        let mut gone: Vec<&Gone> = self.gone.iter().filter(was).collect();
        gone.sort_by_key(|gone| std::cmp::Reverse(gone.removed_at));
        lines.extend(gone.into_iter().map(|gone| self.removed(gone)));
        if listed {
            return Answer::Listed(lines);
        }
        if lines.is_empty() {
            lines.extend(self.forgotten(who));
        }
        if lines.is_empty() {
            lines = self.never(who);
        }
        Answer::NotListed(lines)
    }

    fn listed(&self, user: &User<'_>) -> String {
        let changed = self
            .newest(&user.id, Op::Updated)
            .map(|(revision, what)| format!(" Last changed in {}: {what}.", named(revision)));
        format!(
            "{} is in the list of {} {}.{}",
            person(user),
            self.connection,
            self.since(&user.id),
            changed.unwrap_or_default()
        )
    }

    /// Since when somebody is in the list, as far as the record tells.
    fn since(&self, id: &str) -> String {
        let came = self.record.iter().find(|revision| {
            revision.lines.iter().flatten().any(|line| {
                let was_removed = || line.changed.fields.get("state").is_some_and(|[from, _]| from == "removed");
                line.changed.id == id
                    && match line.changed.op {
                        Op::Added => true,
                        Op::Returned => was_removed(),
                        Op::Updated | Op::Removed | Op::Held => false,
                    }
            })
        });
        let untold: Vec<&Revision<'_>> =
            self.record.iter().filter(|r| r.lines.is_none() && r.entry.added > 0).collect();
        match (came, untold.as_slice(), self.record.last()) {
            (Some(revision), _, _) => format!("since {}", named(revision)),
            (None, [only], Some(first)) if only.entry.revision == 1 && first.entry.revision == 1 => {
                format!("since {}, the first", named(only))
            }
            (None, [newest, ..], _) => {
                format!("since {} or before: that one added more users than are told one by one", named(newest))
            }
            (None, [], Some(first)) => format!("since before revision {} of the record", first.entry.revision),
            (None, [], None) => format!("since revision {} or before", self.roster.revision),
        }
    }

    fn is_held(&self, user: &User<'_>) -> String {
        let Self { connection, namespace, .. } = self;
        let since = match self.newest(&user.id, Op::Held) {
            Some((revision, _)) => format!("since {}", named(revision)),
            None => self
                .roster
                .held
                .as_ref()
                .map_or_else(String::new, |held| format!("since {} or before", minute(held.time.0))),
        };
        format!(
            "{} is in the list of {connection}, but Box has not listed this user {since}: the removal is held with many others. Who looked at them lets them go with kubectl boxsync approve {connection} -n {namespace}.",
            person(user)
        )
    }

    /// A login that now is another one.
    fn renamed(&self, who: &str) -> Vec<String> {
        let changed = self.told_of(who).filter(|(_, line)| {
            let from = line.changed.fields.get("login").and_then(|[from, _]| from.as_str());
            // A removal tells all that was known, to nothing.
            line.changed.op != Op::Removed && from.is_some_and(|from| same(from, who))
        });
        let now = |id: &str| {
            self.live.iter().chain(&self.held).find(|user| user.id == id).filter(|user| !same(&user.login, who))
        };
        let named_now = changed.filter_map(|(revision, line)| now(&line.changed.id).map(|user| (revision, user)));
        let line = |(revision, user): (&Revision<'_>, &User<'_>)| {
            format!(
                "{who} was the login of {} until {}: the user is in the list under another login.",
                person(user),
                named(revision)
            )
        };
        named_now.take(1).map(line).collect()
    }

    fn removed(&self, gone: &Gone) -> String {
        format!(
            "{} (id {}, {}, last {}) was removed from the list of {} on {}: Box no longer lists this user. If that is wrong, a Box admin finds out in the Admin Console.",
            gone.login,
            gone.id,
            gone.name,
            gone.last_status,
            self.connection,
            minute(gone.removed_at)
        )
    }

    /// Somebody whom only the record still knows.
    fn forgotten(&self, who: &str) -> Option<String> {
        let (revision, line) = self.told_of(who).next()?;
        let what = line.changed.op.as_str();
        Some(format!("{who} is not in the list of {}: last told of in {} ({what}).", self.connection, named(revision)))
    }

    /// The lines of the record that tell of somebody, newest first.
    fn told_of(&self, who: &str) -> impl Iterator<Item = (&Revision<'a>, &Line<'a>)> {
        let lines = self.record.iter().flat_map(|r| r.lines.iter().flatten().map(move |line| (r, line)));
        lines.filter(move |(_, line)| line.is_of(who))
    }

    fn never(&self, who: &str) -> Vec<String> {
        let Self { connection, namespace, roster, .. } = self;
        let list = match self.list_time {
            Some(time) => format!("list of {}", minute(time)),
            None => "list".to_owned(),
        };
        let record = match self.record.last() {
            Some(first) => format!(" nor in its record since {}", minute(first.entry.time.0)),
            None => String::new(),
        };
        let mut lines = vec![format!(
            "{who} was never seen in the {list} of {connection} (revision {}, {}){record}.",
            roster.revision,
            many(roster.users.total, "user")
        )];
        let near = self.near(who);
        if !near.is_empty() {
            lines.push(format!("Near: {}.", near.join(", ")));
        }
        lines.push(
            "Box cannot list external users (collaborators of other enterprises) and pending invitations.".to_owned(),
        );
        lines.push(format!(
            "Somebody who was added just now is found after kubectl boxsync sync {connection} -n {namespace} --wait."
        ));
        lines
    }

    /// Logins that look much like it.
    fn near(&self, who: &str) -> Vec<&str> {
        let who = who.to_lowercase();
        let most = (who.chars().count() / 6).max(2);
        let part = who.split('@').next().filter(|part| part.len() > 2);
        let distance = |login: &str| {
            let login = login.to_lowercase();
            // Another domain of the same company.
            if part.is_some() && login.split('@').next() == part {
                return Some(1);
            }
            let close = login.len().abs_diff(who.len()) <= most;
            close.then(|| strsim::osa_distance(&login, &who)).filter(|distance| *distance <= most)
        };
        let all = self.live.iter().chain(&self.held).map(|user| &*user.login);
        let mut near: Vec<(usize, &str)> = all.filter_map(|login| Some((distance(login)?, login))).collect();
        near.sort_unstable();
        near.into_iter().take(MOST_NEAR).map(|(_, login)| login).collect()
    }

    /// The newest line of this kind that tells of the user.
    fn newest(&self, id: &str, op: Op) -> Option<(&Revision<'a>, String)> {
        self.record.iter().find_map(|revision| {
            let mut lines = revision.lines.iter().flatten();
            let line = lines.find(|line| line.changed.id == id && line.changed.op == op)?;
            Some((revision, differences(&line.changed)))
        })
    }
}

fn named(revision: &Revision<'_>) -> String {
    let entry = revision.entry;
    format!("revision {} ({}{})", entry.revision, minute(entry.time.0), asked(", ", &entry.requested_by))
}

fn person(user: &User<'_>) -> String {
    format!("{} (id {}, {}, {}, {})", user.login, user.id, user.name, user.status, user.role)
}
