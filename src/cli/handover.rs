//! `handover`: what the Box admin has to do, as a letter.

use k8s_openapi::api::core::v1::Secret;

use super::{
    desk::Desk,
    exit::{Exit, Stop},
    flags::HandoverFlags,
    letter::{Letter, List},
    seen,
    site::Site,
};
use crate::{
    api::BoxConnection,
    signin::{self, Names},
};

pub(super) async fn run(flags: &HandoverFlags, site: &Site, desk: &mut Desk<'_>) -> Result<Exit, Stop> {
    let connection = site.connection(&flags.name).await?;
    let Some((method, _)) = connection.spec.auth.chosen() else {
        return Err(Stop::trouble(format!(
            "BoxConnection {} names no sign-in method, or more than one: set exactly one in spec.auth.",
            flags.name
        )));
    };
    let client_id = match seen::client_id(&connection) {
        Some(known) => Some(known),
        None => of_secret(site, &connection).await,
    };
    let status = connection.status.clone().unwrap_or_default();
    let enterprise = status.enterprise.filter(|e| e.id == connection.spec.enterprise_id);
    let letter = Letter {
        connection: &seen::flags(&connection),
        method,
        client_id: client_id.as_deref(),
        enterprise_id: &connection.spec.enterprise_id,
        enterprise_name: enterprise.as_ref().map_or("", |e| e.name.as_str()),
        wrong: seen::cause(&connection),
        list: status.last_sync.map(|last| List {
            time: last.completion_time.0,
            users: status.users.map_or(0, |users| users.total),
            fresh_until: status.stale_time.map(|time| time.0),
        }),
    };
    if !letter.mends() {
        // Beside the letter, so that it can still be sent as it is.
        let found = match letter.wrong {
            Some((reason, _)) => format!("{}, and a Box admin has nothing to do with that", reason.headline()),
            None => "nothing is known to be wrong".to_owned(),
        };
        writeln!(desk.err, "note: {found}. The letter asks for what the app needs from the beginning.")?;
    }
    desk.out.write_all(letter.text().as_bytes())?;
    Ok(Exit::Fine)
}

/// The app's client id, where the caller may read the Secret and it can be found there. It is no secret itself.
async fn of_secret(site: &Site, connection: &BoxConnection) -> Option<String> {
    let (method, name) = connection.spec.auth.chosen()?;
    let secret = site.cluster.call(site.cluster.api::<Secret>(&site.namespace).get(name)).await.ok()?;
    let names = Names::of(connection);
    signin::credentials(&names, method, secret).ok().map(|credentials| credentials.client_id().to_owned())
}
