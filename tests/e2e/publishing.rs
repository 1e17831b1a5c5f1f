//! The published list on the real API server: updated by a request, held, approved, garbage-collected, and read with
//! `kubectl boxsync`.

use box_sim::{EnterpriseConfig, User};
use boxsync::api::{ConditionsExt, UserRoster, UserSlice};
use harness::eventually;
use kube::{Api, ResourceExt, api::ListParams};

use crate::{
    env::{E2eEnv, SHORT_TIMEOUT, connection_yaml, create_acme, request_yaml},
    table::KubectlTable,
};

#[tokio::test]
async fn an_added_user_is_listed_right_after_the_request() {
    let (env, acme, operator) = E2eEnv::with_ready_acme("hired").await;
    let output = env.plugin().run(&["users", "acme", "--search", "jane.doe"]).await.expect("the plugin");
    assert!(output.status.success() && !output.stdout.contains("jane.doe"), "{output:?}");

    acme.add_user("Jane Doe", "jane.doe@acme.com");
    let leaver = acme.users()[7].clone();
    acme.remove_user(leaver.id);
    let done = env.run_request("acme").await;
    let status = done.status.expect("a status");
    assert_eq!((status.added, status.updated, status.removed, status.revision), (Some(1), Some(0), Some(1), Some(2)));
    let requests = KubectlTable::parse(&env.run(&["get", "usersyncrequests"]).await);
    assert_eq!(requests.header, ["NAME", "CONNECTION", "PHASE", "REASON", "USERS", "AGE"]);
    assert_eq!(requests.rows[0][1..5], ["acme", "Succeeded", "Synced", "1200"]);
    let rosters = KubectlTable::parse(&env.run(&["get", "userrosters"]).await);
    assert_eq!(rosters.header, ["NAME", "REVISION", "USERS", "REMOVED", "SLICES", "REVISED", "AGE"]);
    assert_eq!(rosters.row("acme")[1..4], ["2", "1200", "1"]);
    let slices = KubectlTable::parse(&env.run(&["get", "userslices"]).await);
    assert_eq!(slices.header, ["NAME", "STATE", "COUNT", "FIRST-ID", "AGE"]);

    assert!(env.run_plugin(&["users", "acme", "--search", "jane.doe"]).await.contains("jane.doe@acme.com"));
    let logins = env.run_plugin(&["users", "acme", "-o", "name"]).await;
    let mut printed: Vec<&str> = logins.lines().collect();
    let mut expected: Vec<String> = acme.users().into_iter().map(|user| user.login).collect();
    printed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(printed, expected);
    assert!(env.run_plugin(&["why", "acme", "jane.doe@acme.com"]).await.contains("revision 2"));
    let output = env.plugin().run(&["why", "acme", &leaver.login]).await.expect("the plugin");
    assert!(output.status.code() == Some(1) && output.stdout.contains("removed"), "{output:?}");
    assert!(env.run_plugin(&["changes", "acme"]).await.contains("jane.doe@acme.com"));
    assert!(env.run_plugin(&["status", "--operator-namespace", &env.namespace]).await.contains("1 connection"));
    assert!(env.run_plugin(&["sync", "acme", "--wait"]).await.contains("0 added"));

    let events = env.run(&["get", "events", "-o", "yaml"]).await;
    let conditions = env.run(&["get", "boxconnections,usersyncrequests", "-o", "yaml"]).await;
    for login in ["jane.doe@acme.com", &leaver.login] {
        assert!(!events.contains(login) && !conditions.contains(login) && !operator.log().contains(login), "{login}");
    }
    env.stop_and_verify(operator).await;
}

#[tokio::test]
async fn tracking_codes_pass_the_schemas_and_select_users() {
    let env = E2eEnv::new("codes").await;
    let acme = env.sim.add_enterprise(EnterpriseConfig::new("1001").name("Acme").users(600).tracking_codes());
    let operator = env.start_operator();
    env.connect_by_client_credentials("acme", &acme).await;
    env.wait_until_ready("acme").await;
    let roster = env.api::<UserRoster>().get("acme").await.expect("a roster");
    assert_eq!(roster.spec.optional_keys, ["trackingCodes"]);
    let in_sales =
        |user: &&User| user.tracking_codes.iter().any(|(name, value)| name == "department" && value == "Sales");
    let users = acme.users();
    let mut expected: Vec<&str> = users.iter().filter(in_sales).map(|user| user.login.as_str()).collect();
    let printed = env.run_plugin(&["users", "acme", "-o", "name", "--tracking-code", "department=Sales"]).await;
    let mut printed: Vec<&str> = printed.lines().collect();
    printed.sort_unstable();
    expected.sort_unstable();
    assert!(expected.len() > 20);
    assert_eq!(printed, expected);

    let moved = users.iter().find(|user| in_sales(user)).expect("somebody");
    let legal = vec![("department".to_owned(), "Legal".to_owned())];
    acme.update_user(moved.id, |user| user.tracking_codes = legal).expect("there");
    let status = env.run_request("acme").await.status.expect("a status");
    assert_eq!((status.added, status.updated, status.removed), (Some(0), Some(1), Some(0)));
    let changes = env.run_plugin(&["changes", "acme", "--user", &moved.login]).await;
    assert!(changes.contains("trackingCodes.department: Sales → Legal"), "{changes}");
    env.stop_and_verify(operator).await;
}

#[tokio::test]
async fn many_vanished_users_are_held_until_exactly_those_are_approved() {
    let (env, acme, operator) = E2eEnv::with_ready_acme("vanished").await;
    acme.users().into_iter().step_by(4).for_each(|user| drop(acme.remove_user(user.id)));
    env.run_request("acme").await;
    let held = env
        .wait_for_condition("acme", "Ready", "True", "RemovalsHeld")
        .await
        .status
        .and_then(|s| s.held)
        .expect("held");
    assert_eq!((held.removals, held.total), (300, 1200));
    env.wait_for_event("BoxConnection", "acme", "Warning", "RemovalsHeld").await;
    let output = env.plugin().run(&["status", "--operator-namespace", &env.namespace]).await.expect("the plugin");
    assert!(output.status.code() == Some(1) && output.stdout.contains("RemovalsHeld"), "{output:?}");
    assert_eq!(env.run_plugin(&["users", "acme", "--held", "-o", "name"]).await.lines().count(), 300);

    let other = env.create_manifest(&request_yaml("acme", &format!("  approveRemovals: {:?}\n", "0".repeat(64)))).await;
    let refused = env.wait_until_finished(&other).await.status.expect("a status");
    assert!(refused.conditions.find_condition("Failed").is_some_and(|c| c.reason == "HeldListChanged"), "{refused:?}");

    env.run_plugin(&["approve", "acme", "--yes"]).await;
    let status = env.wait_until_ready("acme").await.status.expect("a status");
    assert_eq!((status.held, status.users.map(|u| (u.total, u.removed))), (None, Some((900, 300))));
    env.stop_and_verify(operator).await;
}

#[tokio::test]
async fn a_deleted_connection_deletes_its_list_and_a_new_one_gets_its_own() {
    let env = E2eEnv::new("recreated").await;
    let acme = create_acme(&env.sim);
    let operator = env.start_operator();
    env.connect_by_client_credentials("acme", &acme).await;
    let first = env.wait_until_ready("acme").await;
    env.run(&["delete", "boxconnection", "acme"]).await;
    env.apply_manifest(&connection_yaml("acme", acme.id(), "clientCredentials", "")).await;
    let second = env.wait_until_ready("acme").await;
    assert_ne!(first.uid(), second.uid());
    let rosters: Api<UserRoster> = env.api();
    let roster = rosters.get("acme").await.expect("a roster");
    assert_eq!((roster.spec.revision, roster.owner_references()[0].uid.clone()), (1, second.uid().expect("a uid")));
    let slices: Api<UserSlice> = env.api();
    eventually("slices of the first connection are deleted", SHORT_TIMEOUT, async || {
        let all = slices.list_metadata(&ListParams::default()).await.map_err(|e| e.to_string())?;
        let old = all.items.iter().filter(|s| s.owner_references()[0].uid != second.uid().unwrap_or_default()).count();
        if old == 0 { Ok(()) } else { Err(format!("{old} slices remain")) }
    })
    .await;
    env.run(&["delete", "boxconnection", "acme"]).await;
    eventually("the list is deleted with its connection", SHORT_TIMEOUT, async || {
        let rosters = rosters.list_metadata(&ListParams::default()).await.map_err(|e| e.to_string())?.items.len();
        let slices = slices.list_metadata(&ListParams::default()).await.map_err(|e| e.to_string())?.items.len();
        if rosters + slices == 0 { Ok(()) } else { Err(format!("{rosters} rosters, {slices} slices")) }
    })
    .await;
    env.stop_and_verify(operator).await;
}

#[tokio::test]
async fn a_deleted_roster_is_published_again_by_itself() {
    let (env, _, operator) = E2eEnv::with_ready_acme("healed").await;
    env.run(&["delete", "userroster", "acme"]).await;
    let rosters: Api<UserRoster> = env.api();
    eventually("the list is published again", SHORT_TIMEOUT, async || {
        let roster = rosters.get("acme").await.map_err(|e| e.to_string())?;
        if roster.spec.revision == 2 { Ok(()) } else { Err(format!("revision {}", roster.spec.revision)) }
    })
    .await;
    env.wait_until_ready("acme").await;
    assert_eq!(env.run_plugin(&["users", "acme", "-o", "name"]).await.lines().count(), 1200);
    env.stop_and_verify(operator).await;
}
