//! A new connection becomes Ready with correct counts.

use box_sim::{AuthMethod, Enterprise, EnterpriseConfig, KeyFormat};
use boxsync::api::BoxConnection;
use serde_json::{Value, json};

use crate::{
    env::{E2eEnv, connection_conditions, create_acme, expect_condition},
    table::KubectlTable,
};

/// The counts of the simulated enterprise.
fn expected_counts(enterprise: &Enterprise) -> Value {
    let users = enterprise.users();
    let with = |status: &str| users.iter().filter(|user| user.status == status).count();
    let restricted = with("cannot_delete_edit") + with("cannot_delete_edit_upload");
    let (active, inactive) = (with("active"), with("inactive"));
    json!({
        "total": users.len(),
        "active": active,
        "inactive": inactive,
        "restricted": restricted,
        "other": users.len() - active - inactive - restricted,
        "app": users.iter().filter(|user| user.app).count(),
        "held": 0,
        "removed": 0,
    })
}

fn status_counts(connection: &BoxConnection) -> Value {
    json!(connection.status.as_ref().and_then(|s| s.users))
}

#[tokio::test]
async fn a_client_credentials_connection_becomes_ready_with_the_right_counts() {
    let env = E2eEnv::new("client credentials").await;
    let acme = create_acme(&env.sim);
    // The log of every level is searched for secrets.
    let operator = env.start_operator_with(&env.operator_settings().env("BOXSYNC_LOG", "trace,boxsync=trace"));
    env.connect_by_client_credentials("acme", &acme).await;
    env.run(&["wait", "--for=condition=Ready", "boxconnection/acme", "--timeout=60s"]).await;

    let connection = env.wait_until_ready("acme").await;
    assert_eq!(status_counts(&connection), expected_counts(&acme));
    let status = connection.status.clone().expect("a status");
    assert_eq!(status.observed_generation, Some(1));
    assert_eq!(status.enterprise.map(|e| (e.id, e.name)), Some(("1001".to_owned(), "Acme".to_owned())));
    assert_eq!(status.app.map(|app| app.client_id), Some(acme.client_id()));
    assert!(status.account.is_some_and(|account| account.login.ends_with("@boxdevedition.com")));
    assert!(status.next_sync_time > status.last_sync.map(|sync| sync.completion_time));
    assert_eq!(expect_condition(connection_conditions(&connection), "Connected").1, "Connected");

    let table = KubectlTable::parse(&env.run(&["get", "boxconnections"]).await);
    assert_eq!(table.header, ["NAME", "READY", "STATUS", "USERS", "LIST-AGE", "AGE"]);
    let row = table.row("acme");
    assert_eq!(row[..4], ["acme", "True", "Synced", "1200"], "{row:?}");
    assert!(row[4].ends_with('s') && row[5].ends_with('s'), "{row:?}");

    let wide = KubectlTable::parse(&env.run(&["get", "boxconn", "acme", "-o", "wide"]).await);
    let row = wide.row("acme");
    let active = expected_counts(&acme)["active"].to_string();
    assert_eq!(row[6..11], ["True", "Synced", "false", "1001", &active], "{row:?}");
    assert!(row[12].ends_with('Z'), "{row:?}");

    let note = env.wait_for_event("BoxConnection", "acme", "Normal", "Connected").await;
    assert!(note.contains("enterprise 1001 (Acme)"), "{note}");
    let note = env.wait_for_event("BoxConnection", "acme", "Normal", "Synced").await;
    assert_eq!(note, "Fetched 1,200 users: 1,200 added, 0 updated, 0 removed, revision 1.");
    env.stop_and_verify(operator).await;
}

#[tokio::test]
async fn a_jwt_connection_with_boxs_own_key_lists_twelve_thousand_users() {
    let env = E2eEnv::new("jwt").await;
    let spec = EnterpriseConfig::new("1002").name("Globex").users(12_000).auth(AuthMethod::Jwt);
    let globex = env.sim.add_enterprise(spec);
    // The log of every level is searched for secrets.
    let operator = env.start_operator_with(&env.operator_settings().env("BOXSYNC_LOG", "trace,boxsync=trace"));
    env.connect_by_jwt("globex", &globex, KeyFormat::Pkcs8TripleDes).await;
    let connection = env.wait_until_ready("globex").await;
    assert_eq!(status_counts(&connection), expected_counts(&globex));
    let message = expect_condition(connection_conditions(&connection), "Ready").2;
    assert!(message.contains("12,000 users"), "{message}");
    env.stop_and_verify(operator).await;
}
