//! A user's grant: Box's page is opened or printed, and the answer awaited on this machine or pasted.

use super::flags::ConnectFlags;
use super::loopback::{self, Loopback};
use crate::{
    boxapi::{Answered, ClientCredentials, Credentials, Invitation},
    cli::{
        desk::{Desk, Seat},
        exit::{Exit, Stop},
    },
};

pub(super) async fn ask(
    flags: &ConnectFlags,
    app: ClientCredentials,
    enterprise: &str,
    desk: &mut Desk<'_>,
) -> Result<Credentials, Stop> {
    let loopback = if flags.no_browser { None } else { Some(Loopback::bind(flags.port).await?) };
    let port = loopback.as_ref().map_or(Some(flags.port).filter(|port| *port > 0), |l| Some(l.port()));
    let invitation = Invitation::new(app, loopback::redirect_uri(port));
    let page = invitation.page(&flags.box_account_url);
    writeln!(
        desk.out,
        "Grant access in Box, as an admin or co-admin of enterprise {enterprise}:\n\n  {page}\n\n\
         The Box app needs the redirect URI {} (developer console > Configuration > OAuth 2.0 Redirect URIs; any port of this machine fits it).",
        loopback::redirect_uri(None)
    )?;
    let answered = match loopback {
        None => pasted(&invitation, desk)?,
        Some(loopback) => {
            writeln!(desk.out, "Waiting for Box's answer at {}.", loopback::redirect_uri(port))?;
            desk.out.flush()?;
            if (desk.reader, desk.answerer) == (Seat::Person, Seat::Person) {
                // The page is printed: whoever has no browser here opens it elsewhere.
                open::that_detached(&page).ok();
            }
            let heard = tokio::time::timeout(flags.timeout, loopback.answer(&invitation)).await;
            heard.map_err(|_| {
                Stop::Told(
                    Exit::TimedOut,
                    "nobody has granted access in time. Nothing was written. Run it again; if Box's page led to an address that does not open, run it with --no-browser and paste that address."
                        .to_owned(),
                )
            })?
        }
    };
    match answered {
        Answered::Granted(code) => Ok(invitation.accept(code)),
        Answered::Denied(why) => {
            let why = why.map(|why| format!(" (\"{why}\")")).unwrap_or_default();
            Err(Stop::Told(Exit::NotSo, format!("access was not granted{why}. Nothing was written.")))
        }
        Answered::Foreign => Err(Stop::Told(
            Exit::NotSo,
            "what was pasted is no answer to this question: it is incomplete, or of an earlier run. Nothing was written. Run it again, and paste the whole address that the browser shows in the end."
                .to_owned(),
        )),
    }
}

/// The address that Box's page led to, or what stands after its question mark.
fn pasted(invitation: &Invitation, desk: &mut Desk<'_>) -> Result<Answered, Stop> {
    writeln!(
        desk.out,
        "Box then leads the browser to an address that does not open. Copy it, and paste it here within 30 seconds."
    )?;
    let line = desk.asked("Address: ")?;
    let query = line.split_once('?').map_or(line.as_str(), |(_, query)| query);
    Ok(invitation.read(query.split_once('#').map_or(query, |(query, _)| query)))
}
