//! `approve`: shows the held removals with what Box says of them now, asks, and requests a sync that approves them.

mod box_answers;

use std::{collections::HashSet, time::Duration};

use clap::Args;

use super::{
    changes::change_log::parse_record,
    held_removals::{HeldNames, HeldRemovals, read_held_removals},
    sync::{
        create_request,
        wait::{self, PendingRequest},
    },
};
use crate::{
    api::{Evidence, SliceState, judge},
    cli::{
        box_api::BoxApiArgs,
        exit_code::{CliError, ExitStatus},
        io::Io,
        kube_context::KubeContext,
        output::format::{display_login, format_age, format_number, format_time, parse_duration, pluralize},
    },
    roster::PublishedUser,
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
    let (connection, held) = read_held_removals(connection, &args.name, &[SliceState::Live], kube).await?;
    let Some(held) = held else {
        writeln!(io.out, "No removals are held for {}.", args.name)?;
        return Ok(ExitStatus::Success);
    };
    if connection.spec.suspend {
        let resume = judge(&connection, &Evidence::only_status(io.clock.now())).command.unwrap_or_default();
        return Err(CliError::Message(
            ExitStatus::Failure,
            format!(
                "{} is suspended: an approval takes effect with a sync, and none runs. Nothing was approved. Resume it first: {resume}",
                args.name
            ),
        ));
    }
    let HeldRemovals { hold, .. } = &held;
    let now = io.clock.now();
    writeln!(
        io.out,
        "{} of {} users of {} have been missing from Box since {} ({} ago). Their removal is held.",
        format_number(hold.removals),
        format_number(hold.total),
        args.name,
        format_time(hold.time.0),
        format_age(hold.time.0, now)
    )?;
    if let Some(caveat) = held.caveat() {
        writeln!(io.out, "{caveat}")?;
    }
    if let Some(users) = held.users()? {
        let answers = ask_box(users.iter().map(|user| &*user.id), kube, &connection, &args.box_api, io).await;
        write!(io.out, "{}", format_held_users(&users, &answers, &args.name, &kube.namespace))?;
        let namesakes = count_namesakes(&held, &users)?;
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
    }
    let question = format!("Remove {}? [y/N] ", pluralize(hold.removals, "user"));
    if !args.yes && !io.confirm(&question, "review the users above, then pass --yes")? {
        writeln!(io.out, "Nothing was approved.")?;
        return Ok(ExitStatus::Failure);
    }
    let request = create_request(kube, &connection, Some(&hold.digest)).await?;
    wait::wait_for_all(vec![PendingRequest::new(&connection, request, kube)], args.timeout, io).await
}

/// How many held users have the login of a user who is not held.
fn count_namesakes(held: &HeldRemovals, users: &[PublishedUser<'_>]) -> Result<i64, CliError> {
    let (HeldNames::Listed(snapshot) | HeldNames::Other(snapshot)) = &held.names else { return Ok(0) };
    let held_logins: HashSet<String> = users.iter().map(|user| user.login.to_lowercase()).collect();
    let mut live_logins = HashSet::new();
    for line in snapshot.record_lines(SliceState::Live) {
        let login = parse_record::<PublishedUser<'_>>(line)?.login.to_lowercase();
        if held_logins.contains(&login) {
            live_logins.insert(login);
        }
    }
    let namesakes = users.iter().filter(|user| live_logins.contains(&user.login.to_lowercase())).count();
    Ok(i64::try_from(namesakes).unwrap_or(i64::MAX))
}

fn format_held_users(users: &[PublishedUser<'_>], answers: &BoxAnswers, name: &str, namespace: &str) -> String {
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
