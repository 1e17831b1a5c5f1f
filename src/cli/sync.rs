//! `sync`: creates requests, and waits for their end where that is wanted.

use std::{collections::BTreeMap, path::Path, time::Duration};

use kube::{ResourceExt, api::ObjectMeta};

use super::{
    desk::Desk,
    exit::{Exit, Stop},
    expect,
    flags::SyncFlags,
    site::{Reach, Site, writing},
    trouble::{self, Right},
    wait::{self, Awaited},
};
use crate::api::{BoxConnection, ConnectionRef, UserSyncRequest, UserSyncRequestSpec};

const DEADLINE_SECONDS: i32 = 3600;
const KEPT_SECONDS: i32 = 86_400;

pub(super) async fn run(flags: &SyncFlags, site: &Site, desk: &mut Desk<'_>) -> Result<Exit, Stop> {
    let connections = chosen(flags, site, desk).await?;
    if let Some(file) = &flags.expect_file {
        let [connection] = connections.as_slice() else {
            return Err(Stop::usage("--expect-file looks into one list: name one connection."));
        };
        let expected = expect::logins(&read(file, desk)?);
        return expect::run(&expected, connection, flags.timeout, site, desk).await;
    }
    let mut awaited = Vec::new();
    for connection in &connections {
        let request = create(site, connection, None).await?;
        if !flags.wait {
            writeln!(desk.out, "usersyncrequest.boxsync.dev/{} created", request.name_any())?;
        }
        awaited.push(Awaited::new(connection, request));
    }
    if flags.wait { wait::all(awaited, flags.timeout, site, desk).await } else { Ok(Exit::Fine) }
}

/// The connections that were named; of those that were only described, those that are not suspended.
async fn chosen(flags: &SyncFlags, site: &Site, desk: &mut Desk<'_>) -> Result<Vec<BoxConnection>, Stop> {
    if !flags.names.is_empty() {
        let mut named = BTreeMap::new();
        for name in &flags.names {
            named.insert(name, site.connection(name).await?);
        }
        return Ok(named.into_values().collect());
    }
    let found = site.connections(Reach::Namespace, flags.selector.as_deref()).await?;
    let (suspended, awake): (Vec<_>, Vec<_>) = found.into_iter().partition(|c| c.spec.suspend);
    for connection in suspended {
        writeln!(desk.err, "{} is suspended and left out.", connection.name_any())?;
    }
    match awake.as_slice() {
        [] => Err(Stop::trouble(format!(
            "there is no such connection in namespace {}. See kubectl boxsync status --all.",
            site.namespace
        ))),
        _ => Ok(awake),
    }
}

/// Asks for a sync; with the digest of held removals, for one that lets these go.
pub(super) async fn create(
    site: &Site,
    connection: &BoxConnection,
    approve: Option<&str>,
) -> Result<UserSyncRequest, Stop> {
    let name = connection.name_any();
    let request = UserSyncRequest {
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            namespace: Some(site.namespace.clone()),
            // Restored from a backup, it would be a new request and sync once more.
            labels: Some([("velero.io/exclude-from-backup".to_owned(), "true".to_owned())].into()),
            ..ObjectMeta::default()
        },
        spec: UserSyncRequestSpec {
            connection_ref: ConnectionRef { name: name.clone() },
            approve_removals: approve.map(str::to_owned),
            active_deadline_seconds: DEADLINE_SECONDS,
            ttl_seconds_after_finished: Some(KEPT_SECONDS),
        },
        status: None,
    };
    let api = site.cluster.api::<UserSyncRequest>(&site.namespace);
    site.cluster
        .call(api.create(&writing(), &request))
        .await
        .map_err(|trouble| trouble::told(&trouble, &Right::to("create", "usersyncrequests", &site.namespace)))
}

fn read(file: &Path, desk: &mut Desk<'_>) -> Result<String, Stop> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        desk.input.read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    read.map_err(|e| {
        Stop::usage(format!(
            "{} cannot be read: {e}. Name a file with one login a line, or - for standard input.",
            file.display()
        ))
    })
}

/// How long after one sync another is worth its while.
pub(super) fn pause(tries: u32) -> Duration {
    const FIRST: Duration = Duration::from_secs(15);
    const LONGEST: Duration = Duration::from_secs(120);
    FIRST.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1))).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_between_syncs_double_up_to_two_minutes() {
        assert_eq!([1, 2, 3, 4, 5, 99].map(|tries| pause(tries).as_secs()), [15, 30, 60, 120, 120, 120]);
    }
}
