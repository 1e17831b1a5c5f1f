//! `changes`: prints the change log, revision by revision.

pub(crate) mod args;
pub(crate) mod change_log;
pub(crate) mod latency;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    users::{self, output, read_error::explain_read_error},
    why::{self, explain_unknown_user},
};
use crate::{
    api::{MassChange, MassChangeKind, RevisionRecord, SliceState},
    cli::{
        exit_code::{CliError, ExitStatus},
        io::Io,
        kube_context::KubeContext,
        output::{
            format::{display_login, format_change_counts, format_number, format_requested_by, format_time, pluralize},
            styled::{StyledText, TextStyle},
            yaml::to_yaml,
        },
    },
    roster::{self, ChangeOp, ChangeRecord, LIST_STATES, MAX_CHANGE_RECORDS, ReadError},
};
use args::{ChangesArgs, ChangesOutput, RevisionRange};
use change_log::{ChangeLine, RevisionChanges, collect_revisions, format_field_changes};

/// Selects entries of the journal.
struct RevisionFilter {
    since: Option<Timestamp>,
    revisions: Option<RevisionRange>,
}

impl RevisionFilter {
    fn matches(&self, entry: &RevisionRecord) -> bool {
        self.since.is_none_or(|since| entry.time.0 >= since)
            && self.revisions.is_none_or(|r| (r.first..=r.last).contains(&entry.revision))
    }
}

pub(crate) async fn run(args: &ChangesArgs, kube: &KubeContext, io: &mut Io<'_>) -> Result<ExitStatus, CliError> {
    let since = args.since.map(|length| {
        let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
        io.clock.now().saturating_sub(length).unwrap_or(Timestamp::MIN)
    });
    let filter = RevisionFilter { since, revisions: args.revision };
    let store = kube.roster_store(&args.name);
    let roster = store.get_roster().await.map_err(kube.explain_error("get", "userrosters"))?;
    let now = io.clock.now();
    let read_error =
        async |error: ReadError| explain_read_error(&error, &[SliceState::Changes], kube, &args.name, now).await;
    let Some(roster) = roster else { return Err(read_error(ReadError::NoRoster).await) };
    let matching = roster.spec.journal.iter().filter(|entry| filter.matches(entry));
    let slice_names: Vec<String> = matching.flat_map(|entry| entry.slices.iter().cloned()).collect();
    let snapshot = match roster::read_snapshot(&store, &[SliceState::Changes], Some(&slice_names)).await {
        Ok(snapshot) => snapshot,
        Err(error) => return Err(read_error(error).await),
    };
    // A revision that was published after the first read is left out.
    let last = roster.spec.revision;
    let changes = collect_revisions(&snapshot, Some(&slice_names))?.into_iter();
    let changes: Vec<RevisionChanges<'_>> =
        changes.filter(|r| filter.matches(r.entry) && r.entry.revision <= last).collect();
    if args.latency {
        let list = users::read_list(kube, &args.name, LIST_STATES, now).await?;
        latency::write_new_users(&latency::find_new_users(&changes, &list)?, args.output, io)?;
        return Ok(ExitStatus::Success);
    }
    let changes = filter_by_user(changes, args.user.as_deref());
    if let Some(user) = args.user.as_deref()
        && !changes.iter().any(|revision| revision.changes.is_some())
    {
        // No change concerns this user: then it must be known that there is one.
        let all = users::read_list(kube, &args.name, why::ALL_STATES, now).await?;
        if let Some(unknown) = explain_unknown_user(&all, &args.name, &kube.namespace, user)? {
            return Err(CliError::Message(ExitStatus::Failure, unknown));
        }
    }
    if changes.is_empty() && args.output == ChangesOutput::Table {
        writeln!(io.err, "{}", no_changes_message(&snapshot.roster.spec.journal, args))?;
    }
    match args.output {
        ChangesOutput::Table => io.out.print(&format_changes(&changes, args.user.as_deref()))?,
        ChangesOutput::Json => {
            let entries = changes.iter().map(|revision| serde_json::to_string(&RevisionJson::new(revision)));
            let entries = entries.collect::<Result<Vec<String>, _>>()?;
            output::write_json_array(&mut io.out, entries.iter().map(String::as_str))?;
        }
        ChangesOutput::Yaml => {
            let revisions: Vec<RevisionJson<'_>> = changes.iter().map(RevisionJson::new).collect();
            io.out.print_json(&to_yaml(&revisions)?)?;
        }
        ChangesOutput::Jsonl => {
            for (revision, line) in changes.iter().flat_map(|r| r.changes.iter().flatten().map(move |line| (r, line))) {
                output::write_json_line(&mut io.out, &change_json_line(revision.entry, line))?;
            }
        }
    }
    Ok(ExitStatus::Success)
}

/// Limits the changes to one user, if given.
fn filter_by_user<'a>(revisions: Vec<RevisionChanges<'a>>, user: Option<&str>) -> Vec<RevisionChanges<'a>> {
    let Some(user) = user else { return revisions };
    let keep_user = |RevisionChanges { entry, changes }: RevisionChanges<'a>| {
        let changes =
            changes.map(|lines| lines.into_iter().filter(|line| line.concerns_user(user)).collect::<Vec<_>>());
        RevisionChanges { entry, changes }
    };
    let mentions_user =
        |revision: &RevisionChanges<'a>| revision.changes.as_ref().is_none_or(|lines| !lines.is_empty());
    revisions.into_iter().map(keep_user).filter(mentions_user).collect()
}

fn no_changes_message(journal: &[RevisionRecord], ChangesArgs { name, user, .. }: &ChangesArgs) -> String {
    let whose = user.as_ref().map(|user| format!(" of {user}")).unwrap_or_default();
    match journal.last() {
        Some(first) => format!(
            "No changes{whose} found. The change log of {name} starts at revision {} of {}.",
            first.revision,
            format_time(first.time.0)
        ),
        None => format!("No changes{whose} found: the change log of {name} is empty."),
    }
}

fn format_changes(revisions: &[RevisionChanges<'_>], user: Option<&str>) -> StyledText {
    let mut text = StyledText::new();
    for RevisionChanges { entry, changes } in revisions {
        let numbers = format_change_counts(entry.added, entry.updated, entry.removed);
        let title = format!(
            "revision {} · {} · {numbers} · {} held",
            entry.revision,
            format_time(entry.time.0),
            format_number(entry.held)
        );
        let title = title + &format_requested_by(" · ", &entry.requested_by);
        text.push(TextStyle::Bold, &title).newline();
        for change in &entry.mass_changes {
            text.push(TextStyle::Yellow, &format!("  ! {}", format_mass_change(change))).newline();
        }
        match changes {
            Some(lines) => lines.iter().for_each(|line| {
                let (style, change) = format_change(&line.change);
                text.push(style, &change).newline();
            }),
            None => {
                let maybe = if user.is_some() { "; this user may be among them" } else { "" };
                text.line(&format!("  ({}{maybe})", missing_changes(entry)));
            }
        }
    }
    text
}

/// Why the changes of a revision are not listed one by one.
fn missing_changes(entry: &RevisionRecord) -> String {
    let RevisionRecord { revision, added, updated, removed, held, .. } = entry;
    if *revision == 1 {
        return format!("the first list: {}", pluralize(*added, "user"));
    }
    if added + updated + removed + held > i64::try_from(MAX_CHANGE_RECORDS).unwrap_or(i64::MAX) {
        return "too many changes to list".to_owned();
    }
    "the changes of this revision were deleted, or not recorded because the list before it was damaged".to_owned()
}

fn format_mass_change(MassChange { kind, users }: &MassChange) -> String {
    let users = format_number(*users);
    match kind {
        MassChangeKind::Deactivated => format!("{users} users left the status active in this one sync"),
        MassChangeKind::LoginChanged => format!("{users} users got another login in this one sync"),
        MassChangeKind::Recreated => {
            format!("{users} users vanished in this one sync, and as many new ones have their logins")
        }
        MassChangeKind::TrackingCodeLost => format!("{users} users lost a tracking code in this one sync"),
        MassChangeKind::Other(word) => format!("{users} users: {}", word.as_str()),
    }
}

fn format_change(changed: &ChangeRecord) -> (TextStyle, String) {
    let user = display_login(&changed.login, &changed.id);
    match changed.op {
        ChangeOp::Added => (TextStyle::Green, format!("  + {user}")),
        ChangeOp::Updated => (TextStyle::Plain, format!("  ~ {user}  {}", format_field_changes(changed))),
        ChangeOp::Removed => (TextStyle::Red, format!("  - {user}")),
        ChangeOp::Returned => (TextStyle::Green, format!("  ↩ {user} (returned)")),
        ChangeOp::Held => (TextStyle::Yellow, format!("  ? {user} (held)")),
    }
}

/// One revision in the output of `kubectl boxsync changes -o json`.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RevisionJson<'a> {
    revision: i64,
    /// When the revision was published.
    #[schemars(with = "String", extend("format" = "date-time"))]
    time: Timestamp,
    added: i64,
    updated: i64,
    removed: i64,
    /// Users whose removal was held by this revision.
    held: i64,
    /// Changes of so many users at once that somebody should know of them.
    mass_changes: &'a [MassChange],
    /// The users who requested the sync, if an admission policy records them.
    requested_by: &'a [String],
    /// Null if there were too many changes to list, or if they are no longer retained.
    changes: Option<Vec<&'a ChangeRecord>>,
}

impl<'a> RevisionJson<'a> {
    fn new(RevisionChanges { entry, changes }: &'a RevisionChanges<'_>) -> Self {
        Self {
            revision: entry.revision,
            time: entry.time.0,
            added: entry.added,
            updated: entry.updated,
            removed: entry.removed,
            held: entry.held,
            mass_changes: &entry.mass_changes,
            requested_by: &entry.requested_by,
            changes: changes.as_ref().map(|lines| lines.iter().map(|line| &line.change).collect()),
        }
    }
}

/// The published line, preceded by its revision and time.
fn change_json_line(entry: &RevisionRecord, line: &ChangeLine<'_>) -> String {
    let rest = line.json.strip_prefix('{').unwrap_or(line.json);
    format!("{{\"revision\":{},\"time\":\"{}\",{rest}", entry.revision, entry.time.0)
}
