//! `approve`: shows whose removal is held, asks, and lets them go.

use super::{
    desk::{Desk, Seat},
    exit::{Exit, Stop},
    flags::ApproveFlags,
    record::parsed,
    site::Site,
    sync::create,
    table::shown,
    trouble,
    wait::{self, Awaited},
    words::{age, many, minute, number},
};
use crate::{
    api::{BoxConnection, Held, SliceState},
    roster::{self, ReadError, Snapshot, User},
};

const MOST_SHOWN: usize = 20;

pub(super) async fn run(flags: &ApproveFlags, site: &Site, desk: &mut Desk<'_>) -> Result<Exit, Stop> {
    let connection = site.connection(&flags.name).await?;
    let snapshot = match roster::read(&site.store(&flags.name), &[SliceState::Held], None).await {
        Ok(snapshot) => Some(snapshot),
        Err(ReadError::NoRoster) => None,
        Err(error) => return Err(trouble::unread(&error, &flags.name, &site.namespace)),
    };
    let Some(Vanished { held, who }) = vanished(&connection, snapshot.as_ref())? else {
        writeln!(desk.out, "No removals are held for {}.", flags.name)?;
        return Ok(Exit::Fine);
    };
    let now = desk.clock.now();
    writeln!(
        desk.out,
        "{} of {} users of {} vanished from Box, since {} ({} ago). Their removal is held.",
        number(held.removals),
        number(held.total),
        flags.name,
        minute(held.time.0),
        age(held.time.0, now)
    )?;
    desk.out.write_all(told(who.as_deref(), &flags.name, &site.namespace).as_bytes())?;
    match (flags.yes, desk.answerer) {
        (true, _) => {}
        (false, Seat::Program) => {
            return Err(Stop::Told(
                Exit::NotSo,
                "nobody is here to be asked. Look at them, then pass --yes.".to_owned(),
            ));
        }
        (false, Seat::Person) if desk.agreed(&format!("Let {} go? [y/N] ", many(held.removals, "user")))? => {}
        (false, Seat::Person) => {
            writeln!(desk.out, "Nothing was approved.")?;
            return Ok(Exit::NotSo);
        }
    }
    let request = create(site, &connection, Some(&held.digest)).await?;
    wait::all(vec![Awaited::new(&connection, request)], flags.timeout, site, desk).await
}

/// Users who vanished from Box and whose removal is held.
struct Vanished<'a> {
    /// Its digest is that of the very users that are shown: of the list where there is one.
    held: Held,
    /// `None`: nobody knows who.
    who: Option<Vec<User<'a>>>,
}

fn vanished<'a>(connection: &BoxConnection, snapshot: Option<&'a Snapshot>) -> Result<Option<Vanished<'a>>, Stop> {
    let Some(snapshot) = snapshot else {
        let held = connection.status.as_ref().and_then(|s| s.held.clone());
        return Ok(held.map(|held| Vanished { held, who: None }));
    };
    let Some(held) = snapshot.roster.spec.held.clone() else { return Ok(None) };
    let who = snapshot.lines(SliceState::Held).map(parsed).collect::<Result<_, Stop>>()?;
    Ok(Some(Vanished { held, who: Some(who) }))
}

fn told(who: Option<&[User<'_>]>, name: &str, namespace: &str) -> String {
    let Some(who) = who else {
        return "The published list is lost: nobody knows who they are, only how many. Whoever is missing in Box's list will be missing in the new one.\n".to_owned();
    };
    let line = |user: &User<'_>| {
        let line = format!("  {} ({}, {})", user.login, user.name, user.status);
        format!("{}\n", shown(line.into()))
    };
    let mut text: String = who.iter().take(MOST_SHOWN).map(line).collect();
    if let Some(more) = who.len().checked_sub(MOST_SHOWN).filter(|more| *more > 0) {
        let more = number(i64::try_from(more).unwrap_or(i64::MAX));
        text.push_str(&format!("  and {more} more: kubectl boxsync users {name} -n {namespace} --held\n"));
    }
    text
}
