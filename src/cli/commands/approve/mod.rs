//! `approve`: shows the held removals with what Box says of them now, asks, and requests a sync that approves them.

mod box_answers;

use std::{collections::HashSet, time::Duration};

use clap::Args;

use super::{
    changes::change_log::parse_record,
    sync::{
        create_request,
        wait::{self, PendingRequest},
    },
};
use crate::{
    api::{BoxConnection, RemovalHold, SliceState},
    cli::{
        box_api::BoxApiArgs,
        errors,
        exit_code::{CliError, ExitStatus},
        io::Io,
        kube_context::KubeContext,
        output::format::{display_login, format_age, format_number, format_time, parse_duration, pluralize},
    },
    roster::{self, PublishedUser, ReadError, RosterSnapshot},
    text::clean_line,
};
use box_answers::{BoxAnswers, ask_box};

#[derive(Args, Debug)]
pub(crate) struct ApproveArgs {
    /// The connection
    pub(crate) name: String,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// How long to wait for the request
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) box_api: BoxApiArgs,
}

const MAX_SHOWN: usize = 20;

pub(crate) async fn run(args: &ApproveArgs, kube: &KubeContext, io: &mut Io<'_>) -> Result<ExitStatus, CliError> {
    let connection = kube.get_connection(&args.name).await?;
    let snapshot = match roster::read_snapshot(
        &kube.roster_store(&args.name),
        &[SliceState::Live, SliceState::Held],
        None,
    )
    .await
    {
        Ok(snapshot) => Some(snapshot),
        Err(ReadError::NoRoster) => None,
        Err(error) => return Err(errors::list_read_error(&error, &args.name, &kube.namespace)),
    };
    let Some(HeldRemovals { held, users, namesakes }) = find_held_removals(&connection, snapshot.as_ref())? else {
        writeln!(io.out, "No removals are held for {}.", args.name)?;
        return Ok(ExitStatus::Success);
    };
    let now = io.clock.now();
    writeln!(
        io.out,
        "{} of {} users of {} have been missing from Box since {} ({} ago). Their removal is held.",
        format_number(held.removals),
        format_number(held.total),
        args.name,
        format_time(held.time.0),
        format_age(held.time.0, now)
    )?;
    let answers = match &users {
        Some(users) => ask_box(users.iter().map(|user| &*user.id), kube, &connection, &args.box_api, io).await,
        None => BoxAnswers::default(),
    };
    let shown = format_held_users(users.as_deref(), &answers, &args.name, &kube.namespace);
    write!(io.out, "{shown}")?;
    if namesakes > 0 {
        writeln!(
            io.out,
            "{} a namesake: another user with the same login, who stays in the list.",
            if namesakes == 1 {
                "1 of them has".to_owned()
            } else {
                format!("{} of them have", format_number(namesakes))
            }
        )?;
    }
    let question = format!("Remove {}? [y/N] ", pluralize(held.removals, "user"));
    if !args.yes && !io.confirm(&question, "review the users above, then pass --yes")? {
        writeln!(io.out, "Nothing was approved.")?;
        return Ok(ExitStatus::Failure);
    }
    let request = create_request(kube, &connection, Some(&held.digest)).await?;
    wait::wait_for_all(vec![PendingRequest::new(&connection, request, kube)], args.timeout, io).await
}

/// Users who are missing from Box and whose removal is held.
struct HeldRemovals<'a> {
    /// From the roster, if there is one, so that its digest belongs to the users that are shown.
    held: RemovalHold,
    /// `None` if the roster is lost and only the count is known.
    users: Option<Vec<PublishedUser<'a>>>,
    /// How many of them have the login of a user who is not held.
    namesakes: i64,
}

fn find_held_removals<'a>(
    connection: &BoxConnection,
    snapshot: Option<&'a RosterSnapshot>,
) -> Result<Option<HeldRemovals<'a>>, CliError> {
    let Some(snapshot) = snapshot else {
        let held = connection.status.as_ref().and_then(|s| s.held.clone());
        return Ok(held.map(|held| HeldRemovals { held, users: None, namesakes: 0 }));
    };
    let Some(held) = snapshot.roster.spec.held.clone() else { return Ok(None) };
    let users: Vec<PublishedUser<'_>> =
        snapshot.record_lines(SliceState::Held).map(parse_record).collect::<Result<_, CliError>>()?;
    let held_logins: HashSet<String> = users.iter().map(|user| user.login.to_lowercase()).collect();
    let mut live_logins = HashSet::new();
    for line in snapshot.record_lines(SliceState::Live) {
        let login = parse_record::<PublishedUser<'_>>(line)?.login.to_lowercase();
        if held_logins.contains(&login) {
            live_logins.insert(login);
        }
    }
    let namesakes = users.iter().filter(|user| live_logins.contains(&user.login.to_lowercase())).count();
    let namesakes = i64::try_from(namesakes).unwrap_or(i64::MAX);
    Ok(Some(HeldRemovals { held, users: Some(users), namesakes }))
}

fn format_held_users(users: Option<&[PublishedUser<'_>]>, answers: &BoxAnswers, name: &str, namespace: &str) -> String {
    let Some(users) = users else {
        return "The published list is lost, so only the number of removals is known. Every user missing from Box's list will be missing from the new one.\n".to_owned();
    };
    let line = |user: &PublishedUser<'_>| {
        let who = display_login(&user.login, &user.id);
        let line = format!("  {who} ({}, {}){}", user.name, user.status, answers.describe(&user.id));
        format!("{}\n", clean_line(&line))
    };
    let mut text: String = users.iter().take(MAX_SHOWN).map(line).collect();
    if let Some(more) = users.len().checked_sub(MAX_SHOWN).filter(|more| *more > 0) {
        let more = format_number(i64::try_from(more).unwrap_or(i64::MAX));
        text.push_str(&format!("  and {more} more: kubectl boxsync users {name} -n {namespace} --held\n"));
    }
    text + &answers.summary(users.len())
}
