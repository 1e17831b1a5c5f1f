//! The published list on the real API server: found after a request, held, approved, collected with its connection,
//! and read and asked for with `kubectl boxsync`.

use std::process::Command;

use boxsync::api::{Conditions, UserRoster, UserSlice};
use harness::eventually;
use kube::{Api, ResourceExt, api::ListParams};

use crate::stage::{SOON, Stage, acme, connection, request};
use crate::table::Table;

/// `kubectl boxsync ARGS`: its exit code, and what it printed.
async fn boxsync(stage: &Stage, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-boxsync"));
    command.arg("--kubeconfig").arg(stage.admin_kubeconfig()).args(["--namespace", &stage.namespace]).args(args);
    // Box is served by this thread: it must not stand still meanwhile.
    let output =
        tokio::task::spawn_blocking(move || command.output()).await.expect("it ends").expect("the plugin runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

async fn did(stage: &Stage, args: &[&str]) -> String {
    let (code, out, err) = boxsync(stage, args).await;
    assert_eq!(code, 0, "{args:?}\n{out}\n{err}");
    out
}

#[tokio::test]
async fn somebody_who_was_hired_is_found_right_after_the_request() {
    let stage = Stage::begin("hired").await;
    let acme = acme(&stage.sim);
    let operator = stage.operator();
    stage.connect("acme", &acme).await;
    stage.ready("acme").await;
    let (code, out, _) = boxsync(&stage, &["users", "acme", "--search", "jane.doe"]).await;
    assert!(code == 0 && !out.contains("jane.doe"), "{code} {out}");

    acme.add_user("Jane Doe", "jane.doe@acme.com");
    let leaver = acme.users()[7].clone();
    acme.remove_user(leaver.id);
    let done = stage.finished(&stage.ask("acme").await).await;
    let status = done.status.expect("a status");
    assert_eq!((status.added, status.updated, status.removed, status.revision), (Some(1), Some(0), Some(1), Some(2)));
    let requests = Table::read(&stage.run(&["get", "usersyncrequests"]).await);
    assert_eq!(
        requests.header,
        ["NAME", "CONNECTION", "PHASE", "USERS", "ADDED", "UPDATED", "REMOVED", "REASON", "AGE"]
    );
    assert_eq!(requests.rows[0][1..8], ["acme", "Succeeded", "1200", "1", "0", "1", "Synced"]);
    let rosters = Table::read(&stage.run(&["get", "userrosters"]).await);
    assert_eq!(rosters.header, ["NAME", "REVISION", "USERS", "REMOVED", "SLICES", "REVISED", "AGE"]);
    assert_eq!(rosters.row("acme")[1..4], ["2", "1200", "1"]);
    let slices = Table::read(&stage.run(&["get", "userslices"]).await);
    assert_eq!(slices.header, ["NAME", "STATE", "COUNT", "FIRST-ID", "AGE"]);

    assert!(did(&stage, &["users", "acme", "--search", "jane.doe"]).await.contains("jane.doe@acme.com"));
    let logins = did(&stage, &["users", "acme", "-o", "name"]).await;
    let mut printed: Vec<&str> = logins.lines().collect();
    let mut expected: Vec<String> = acme.users().into_iter().map(|user| user.login).collect();
    printed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(printed, expected);
    assert!(did(&stage, &["why", "acme", "jane.doe@acme.com"]).await.contains("revision 2"));
    let (code, out, _) = boxsync(&stage, &["why", "acme", &leaver.login]).await;
    assert!(code == 1 && out.contains("removed"), "{code} {out}");
    assert!(did(&stage, &["changes", "acme"]).await.contains("jane.doe@acme.com"));
    assert!(did(&stage, &["status", "--operator-namespace", &stage.namespace]).await.contains("1 connection"));
    assert!(did(&stage, &["sync", "acme", "--wait"]).await.contains("0 added"));

    let events = stage.run(&["get", "events", "-o", "yaml"]).await;
    let conditions = stage.run(&["get", "boxconnections,usersyncrequests", "-o", "yaml"]).await;
    for login in ["jane.doe@acme.com", &leaver.login] {
        assert!(!events.contains(login) && !conditions.contains(login) && !operator.log().contains(login), "{login}");
    }
    stage.end(operator).await;
}

#[tokio::test]
async fn many_who_vanish_are_held_until_somebody_approves_exactly_those() {
    let stage = Stage::begin("vanished").await;
    let acme = acme(&stage.sim);
    let operator = stage.operator();
    stage.connect("acme", &acme).await;
    stage.ready("acme").await;
    acme.users().into_iter().step_by(4).for_each(|user| drop(acme.remove_user(user.id)));
    stage.finished(&stage.ask("acme").await).await;
    let held = stage.told("acme", "Ready", "True", "RemovalsHeld").await.status.and_then(|s| s.held).expect("held");
    assert_eq!((held.removals, held.total), (300, 1200));
    stage.event("BoxConnection", "acme", "Warning", "RemovalsHeld").await;
    let (code, out, _) = boxsync(&stage, &["status", "--operator-namespace", &stage.namespace]).await;
    assert!(code == 1 && out.contains("RemovalsHeld"), "{code} {out}");
    assert_eq!(did(&stage, &["users", "acme", "--held", "-o", "name"]).await.lines().count(), 300);

    let other = stage.create(&request("acme", &format!("  approveRemovals: {:?}\n", "0".repeat(64)))).await;
    let refused = stage.finished(&other).await.status.expect("a status");
    assert!(refused.conditions.of("Failed").is_some_and(|c| c.reason == "HeldListChanged"), "{refused:?}");

    did(&stage, &["approve", "acme", "--yes"]).await;
    let status = stage.ready("acme").await.status.expect("a status");
    assert_eq!((status.held, status.users.map(|u| (u.total, u.removed))), (None, Some((900, 300))));
    stage.end(operator).await;
}

#[tokio::test]
async fn a_deleted_connection_takes_its_list_along_and_a_new_one_gets_its_own() {
    let stage = Stage::begin("recreated").await;
    let acme = acme(&stage.sim);
    let operator = stage.operator();
    stage.connect("acme", &acme).await;
    let first = stage.ready("acme").await;
    stage.run(&["delete", "boxconnection", "acme"]).await;
    stage.apply(&connection("acme", acme.id(), "clientCredentials", "")).await;
    let second = stage.ready("acme").await;
    assert_ne!(first.uid(), second.uid());
    let rosters: Api<UserRoster> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let roster = rosters.get("acme").await.expect("a roster");
    assert_eq!((roster.spec.revision, roster.owner_references()[0].uid.clone()), (1, second.uid().expect("a uid")));
    let slices: Api<UserSlice> = Api::namespaced(stage.client.clone(), &stage.namespace);
    eventually("the first one's slices are collected", SOON, async || {
        let all = slices.list_metadata(&ListParams::default()).await.map_err(|e| e.to_string())?;
        let old = all.items.iter().filter(|s| s.owner_references()[0].uid != second.uid().unwrap_or_default()).count();
        if old == 0 { Ok(()) } else { Err(format!("{old} are there still")) }
    })
    .await;
    stage.run(&["delete", "boxconnection", "acme"]).await;
    eventually("the list is gone with its connection", SOON, async || {
        let rosters = rosters.list_metadata(&ListParams::default()).await.map_err(|e| e.to_string())?.items.len();
        let slices = slices.list_metadata(&ListParams::default()).await.map_err(|e| e.to_string())?.items.len();
        if rosters + slices == 0 { Ok(()) } else { Err(format!("{rosters} rosters, {slices} slices")) }
    })
    .await;
    stage.end(operator).await;
}

#[tokio::test]
async fn a_deleted_roster_is_published_again_by_itself() {
    let stage = Stage::begin("healed").await;
    let acme = acme(&stage.sim);
    let operator = stage.operator();
    stage.connect("acme", &acme).await;
    stage.ready("acme").await;
    stage.run(&["delete", "userroster", "acme"]).await;
    let rosters: Api<UserRoster> = Api::namespaced(stage.client.clone(), &stage.namespace);
    eventually("the list is published again", SOON, async || {
        let roster = rosters.get("acme").await.map_err(|e| e.to_string())?;
        if roster.spec.revision == 2 { Ok(()) } else { Err(format!("revision {}", roster.spec.revision)) }
    })
    .await;
    stage.ready("acme").await;
    assert_eq!(did(&stage, &["users", "acme", "-o", "name"]).await.lines().count(), 1200);
    stage.end(operator).await;
}
