//! How a status is told: the operator, a summary, and then those who need somebody. Pure.

use std::{collections::BTreeMap, fmt::Write};

use jiff::Timestamp;
use serde::Serialize;

use super::{
    desk::Ink,
    exit::Exit,
    leader::Leader,
    site::Reach,
    standing::{Report, Standing},
    table::{self, Column, shown},
    words::{age, asked, away, changed, many, minute, number, wrapped},
};
use crate::api::{BoxConnectionStatus, LastSync, Reason};

/// Messages are long; this is as wide as eyes like it.
pub(super) const WIDTH: usize = 110;

/// What is known of the connections at one moment.
#[derive(Serialize)]
pub(super) struct Overview {
    pub(super) operator: Leader,
    pub(super) summary: Summary,
    pub(super) connections: Vec<Report>,
    #[serde(skip)]
    pub(super) reach: Reach,
}

/// So many of each kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    connections: usize,
    ready: usize,
    needs_person: usize,
    retrying: usize,
    waiting: usize,
    suspended: usize,
    not_seen: usize,
    /// Beside how they stand otherwise.
    paused: usize,
    users: i64,
}

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// Those who need somebody.
    Needy,
    All,
    Wide,
}

impl Overview {
    pub(super) fn new(operator: Leader, connections: Vec<Report>, reach: Reach) -> Self {
        let count = |standing| connections.iter().filter(|c| c.standing == standing).count();
        let summary = Summary {
            connections: connections.len(),
            ready: count(Standing::Ready),
            needs_person: count(Standing::NeedsPerson),
            retrying: count(Standing::Retrying),
            waiting: count(Standing::Waiting),
            suspended: count(Standing::Suspended),
            not_seen: count(Standing::NotSeen),
            paused: connections.iter().filter(|c| c.paused.is_some()).count(),
            users: connections.iter().filter_map(|c| c.users).map(|u| u.total).sum(),
        };
        Self { operator, summary, connections, reach }
    }

    /// The weightiest that has to be said.
    pub(super) fn exit(&self) -> Exit {
        let some = |standing| self.summary.of(standing) > 0;
        match &self.operator {
            Leader::Late { .. } | Leader::Nobody { .. } => Exit::NoOperator,
            Leader::Leads { .. } | Leader::Unknown { .. } if some(Standing::NeedsPerson) => Exit::NotSo,
            Leader::Leads { .. } | Leader::Unknown { .. } => {
                let passing = [Standing::Retrying, Standing::Waiting, Standing::NotSeen].into_iter().any(some);
                if passing { Exit::Passing } else { Exit::Fine }
            }
        }
    }

    pub(super) fn text(&self, detail: Detail, ink: Ink, now: Timestamp) -> String {
        let mut text = format!("{}\n{}\n", self.operator.line(ink, now), self.summary.line());
        if let Some(since) = self.connections.iter().filter_map(|c| c.paused).min() {
            let paused = format!(
                "The operator is paused (--paused) for {}: for {} it asks Box nothing, and requests wait.",
                age(since, now),
                many(count(self.summary.paused), "connection")
            );
            let _ = writeln!(text, "{}", ink.yellow(&paused));
        }
        match (self.connections.is_empty(), self.reach) {
            (true, Reach::Namespace) => {
                text.push_str("\nThere is no such connection in this namespace: -A looks into all of them.\n")
            }
            (true, Reach::Everywhere) => {
                text.push_str("\nThere is no such connection: see kubectl explain boxconnection.spec to create one.\n")
            }
            (false, _) => self.groups(&mut text, ink, now),
        }
        let rest: Vec<Row<'_>> = self
            .connections
            .iter()
            .filter(|c| detail == Detail::Wide || c.standing != Standing::NeedsPerson)
            .map(|report| Row { report, name: self.name(report), now })
            .collect();
        match detail {
            Detail::Needy => {
                let passing: usize =
                    [Standing::Retrying, Standing::Waiting, Standing::NotSeen].map(|s| self.summary.of(s)).iter().sum();
                if passing > 0 {
                    let hint = ink.dim("Those that are not ready and need nobody: --all shows them.");
                    let _ = writeln!(text, "\n{hint}");
                }
            }
            Detail::All | Detail::Wide if rest.is_empty() => {}
            Detail::All => {
                text.push('\n');
                text.push_str(&tabled(&narrow(), &rest));
            }
            Detail::Wide => {
                text.push('\n');
                text.push_str(&tabled(&wide(), &rest));
            }
        }
        text
    }

    pub(super) fn name(&self, report: &Report) -> String {
        match self.reach {
            Reach::Namespace => report.name.clone(),
            Reach::Everywhere => format!("{}/{}", report.namespace, report.name),
        }
    }

    /// Those who need somebody, by what they need.
    fn groups(&self, text: &mut String, ink: Ink, now: Timestamp) {
        let mut groups: BTreeMap<&str, Vec<&Report>> = BTreeMap::new();
        for report in self.connections.iter().filter(|c| c.standing == Standing::NeedsPerson) {
            groups.entry(&report.reason).or_default().push(report);
        }
        for (reason, reports) in groups {
            let headline = Reason::parse(reason).map(|r| format!(" · {}", r.headline())).unwrap_or_default();
            let title = format!("{reason} · {}{headline}", many(count(reports.len()), "connection"));
            let _ = write!(text, "\n{}\n", ink.yellow(&title));
            for report in reports {
                let since = report.since.map(|t| format!(" · for {}", age(t, now))).unwrap_or_default();
                let _ = writeln!(text, "  {}{since} · {}", ink.bold(&self.name(report)), kept(report, now));
                explained(text, report);
            }
        }
    }
}

/// The message, and what the plugin itself can do about it.
fn explained(text: &mut String, report: &Report) {
    for line in wrapped(&report.message, WIDTH) {
        let _ = writeln!(text, "    {line}");
    }
    if let Some(held) = report.held {
        let (name, namespace) = (&report.name, &report.namespace);
        let held = many(held, "removal");
        let _ = writeln!(
            text,
            "    {held} held: see kubectl boxsync users {name} -n {namespace} --held, and let them go with kubectl boxsync approve {name} -n {namespace}"
        );
    }
}

/// Which list is there, and until when it is good.
pub(super) fn kept(report: &Report, now: Timestamp) -> String {
    let Some(time) = report.list_time else { return "no list yet".to_owned() };
    let users = report.users.map(|u| format!(" ({})", many(u.total, "user"))).unwrap_or_default();
    let good = match report.stale_time {
        Some(stale) if stale > now => format!(", fresh until {} ({})", minute(stale), away(stale, now)),
        Some(stale) => format!(", stale since {} ({})", minute(stale), away(stale, now)),
        None => String::new(),
    };
    format!("list of {}{users}{good}", minute(time))
}

/// One connection, in detail.
pub(super) fn detail(report: &Report, status: Option<&BoxConnectionStatus>, ink: Ink, now: Timestamp) -> String {
    let standing = match report.standing {
        Standing::Ready => ink.green(report.standing.words()),
        Standing::NeedsPerson => ink.yellow(report.standing.words()),
        Standing::Retrying | Standing::Waiting | Standing::Suspended | Standing::NotSeen => {
            report.standing.words().to_owned()
        }
    };
    let since = report.since.map(|t| format!(" for {}", age(t, now))).unwrap_or_default();
    let mut text =
        format!("{}: {standing}{since} ({}) · {}\n", ink.bold(&report.name), report.reason, kept(report, now));
    match report.standing {
        Standing::Ready => {}
        Standing::NeedsPerson | Standing::Retrying | Standing::Waiting | Standing::Suspended | Standing::NotSeen => {
            explained(&mut text, report);
        }
    }
    let Some(status) = status else { return text };
    if let Some(users) = &status.users {
        let _ = writeln!(
            text,
            "  users      {} · {} active · {} inactive · {} restricted · {} app · {} held · {} removed",
            number(users.total),
            number(users.active),
            number(users.inactive),
            number(users.restricted),
            number(users.app),
            number(users.held),
            number(users.removed)
        );
    }
    if let Some(last) = &status.last_sync {
        let _ = writeln!(
            text,
            "  last sync  {} ({}) · {} · {} · revision {}{}",
            minute(last.completion_time.0),
            away(last.completion_time.0, now),
            last.trigger.as_str(),
            changed(last.added, last.updated, last.removed),
            last.revision,
            shown(requesters(status, last).into())
        );
    }
    if let Some(current) = &status.current_sync {
        let _ = writeln!(
            text,
            "  running    {} · {} · {} · for {}",
            current.trigger.as_str(),
            many(current.pages, "page"),
            many(current.users, "user"),
            age(current.start_time.0, now)
        );
    }
    if let Some(since) = report.paused {
        let _ = writeln!(
            text,
            "  paused     for {}: the operator runs with --paused and asks Box nothing",
            age(since, now)
        );
    }
    if let Some(next) = report.next_sync_time {
        let _ = writeln!(text, "  next sync  {} ({})", minute(next), away(next, now));
    }
    text
}

/// Who asked for the last sync, as the history has it.
fn requesters(status: &BoxConnectionStatus, last: &LastSync) -> String {
    let ended = status.history.iter().find(|attempt| attempt.completion_time == last.completion_time);
    ended.map_or_else(String::new, |attempt| asked(" · ", &attempt.requested_by))
}

impl Summary {
    fn of(&self, standing: Standing) -> usize {
        match standing {
            Standing::Ready => self.ready,
            Standing::NeedsPerson => self.needs_person,
            Standing::Retrying => self.retrying,
            Standing::Waiting => self.waiting,
            Standing::Suspended => self.suspended,
            Standing::NotSeen => self.not_seen,
        }
    }

    fn line(&self) -> String {
        let mut parts = vec![many(count(self.connections), "connection")];
        let told = Standing::ALL.into_iter().map(|s| (s, self.of(s)));
        parts.extend(told.filter(|(s, n)| *n > 0 || *s == Standing::Ready).map(|(s, n)| s.counted(n)));
        parts.push(many(self.users, "user"));
        parts.join(" · ")
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

struct Row<'a> {
    report: &'a Report,
    name: String,
    now: Timestamp,
}

fn narrow<'a>() -> Vec<Column<Row<'a>>> {
    vec![
        Column { title: "CONNECTION", of: |row| row.name.as_str().into() },
        Column { title: "STATE", of: |row| row.report.standing.words().into() },
        Column { title: "REASON", of: |row| row.report.reason.as_str().into() },
        Column { title: "USERS", of: |row| row.report.users.map(|u| number(u.total)).unwrap_or_default().into() },
        Column { title: "LIST-AGE", of: |row| told(row.report.list_time, |t| age(t, row.now)).into() },
        Column { title: "STALE", of: |row| told(row.report.stale_time, |t| away(t, row.now)).into() },
        Column { title: "NEXT-SYNC", of: |row| told(row.report.next_sync_time, |t| away(t, row.now)).into() },
    ]
}

fn wide<'a>() -> Vec<Column<Row<'a>>> {
    let mut columns = narrow();
    columns.extend([
        Column { title: "ENTERPRISE", of: |row: &Row<'a>| row.report.enterprise_id.as_str().into() },
        Column { title: "REVISION", of: |row| row.report.revision.map(|r| r.to_string()).unwrap_or_default().into() },
        Column { title: "HELD", of: |row| row.report.held.map(number).unwrap_or_default().into() },
        Column { title: "MESSAGE", of: |row| row.report.message.as_str().into() },
    ]);
    columns
}

fn told(time: Option<Timestamp>, words: impl Fn(Timestamp) -> String) -> String {
    time.map(words).unwrap_or_default()
}

fn tabled<'a>(columns: &[Column<Row<'a>>], rows: &[Row<'a>]) -> String {
    let mut text = Vec::new();
    // Memory takes all that is written.
    table::write(&mut text, columns, rows).ok();
    String::from_utf8(text).unwrap_or_default()
}
