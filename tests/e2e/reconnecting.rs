//! A withdrawn authorization and a rotated secret are detected, and the connection recovers.

use boxsync::api::ConditionsExt as _;

use crate::{
    env::{E2eEnv, connection_conditions, count_listed_pages, create_acme, expect_condition, request_conditions},
    table::KubectlTable,
};

#[tokio::test]
async fn a_request_without_authorization_fails_at_once_and_says_how_to_reconnect() {
    let (env, acme, operator) = E2eEnv::with_ready_acme("withdrawn").await;

    acme.deauthorize_app();
    let name = env.request_sync("acme").await;
    let request = env.wait_until_finished(&name).await;
    let (_, reason, message) = expect_condition(request_conditions(&request), "Failed");
    assert_eq!(reason, "AppNotAuthorized");
    let client_id = acme.client_id();
    for words in [&client_id, "Admin Console"] {
        assert!(message.contains(words), "no {words:?} in: {message}");
    }
    assert!(request_conditions(&request).find_condition("Stalled").is_some());
    env.run(&["wait", "--for=condition=Failed", &format!("usersync/{name}"), "--timeout=10s"]).await;
    let table = KubectlTable::parse(&env.run(&["get", "usersync"]).await);
    assert_eq!(table.row(&name)[1..5], ["acme", "Failed", "AppNotAuthorized", ""]);

    let connection = env.wait_for_condition("acme", "Connected", "False", "AppNotAuthorized").await;
    let all = connection_conditions(&connection);
    assert!(expect_condition(all, "Connected").2.contains(&client_id));
    assert_eq!(expect_condition(all, "Ready").1, "AppNotAuthorized");
    assert_eq!(expect_condition(all, "Stalled").0, "True");
    let status = connection.status.clone().expect("a status");
    assert_eq!(status.users.map(|users| users.total), Some(1_200), "the old list stays");
    assert_eq!(status.next_sync_time, None);
    let table = KubectlTable::parse(&env.run(&["get", "boxconn"]).await);
    assert_eq!(table.row("acme")[1..4], ["False", "AppNotAuthorized", "1200"]);
    let note = env.wait_for_event("BoxConnection", "acme", "Warning", "AppNotAuthorized").await;
    assert!(note.contains("This app is not authorized by the enterprise admin"), "{note}");
    env.wait_for_event("UserSyncRequest", &name, "Warning", "AppNotAuthorized").await;

    acme.authorize_app();
    let request = env.run_request("acme").await;
    assert_eq!(expect_condition(request_conditions(&request), "Complete").1, "Synced");
    let connection = env.wait_until_ready("acme").await;
    assert!(connection_conditions(&connection).find_condition("Stalled").is_none());
    let trigger = connection.status.and_then(|s| s.last_sync).map(|sync| sync.trigger.as_str());
    assert_eq!(trigger, Some("Reconnected"));
    env.stop_and_verify(operator).await;
}

#[tokio::test]
async fn revocation_and_reauthorization_are_noticed_by_probes() {
    let env = E2eEnv::new("probes").await;
    let acme = create_acme(&env.sim);
    let operator = env.start_operator_with(&env.operator_settings().flag("--probe-interval", "2s"));
    env.connect_by_client_credentials("acme", &acme).await;
    env.wait_until_ready("acme").await;
    acme.clear_calls();
    acme.deauthorize_app();
    env.wait_for_condition("acme", "Connected", "False", "AppNotAuthorized").await;
    assert_eq!(count_listed_pages(&acme), 0, "a probe listed users");
    acme.authorize_app();
    env.wait_until_ready("acme").await;
    env.stop_and_verify(operator).await;
}

#[tokio::test]
async fn a_wrong_secret_is_reported_and_a_request_uses_the_right_one_at_once() {
    let env = E2eEnv::new("rotated").await;
    let acme = create_acme(&env.sim);
    let operator = env.start_operator();
    let wrong = env.secrets.add("a secret of last year");
    env.apply_secret("acme", &[("clientId", &acme.client_id()), ("clientSecret", &wrong)]).await;
    env.apply_manifest(&crate::env::connection_yaml("acme", "1001", "clientCredentials", "")).await;
    let connection = env.wait_for_condition("acme", "Connected", "False", "CredentialsRejected").await;
    let message = expect_condition(connection_conditions(&connection), "Connected").2;
    for words in ["invalid_client", "Secret acme"] {
        assert!(message.contains(words), "no {words:?} in: {message}");
    }
    env.apply_client_secret("acme", &acme).await;
    let request = env.run_request("acme").await;
    assert_eq!(expect_condition(request_conditions(&request), "Complete").1, "Synced");
    env.wait_until_ready("acme").await;
    env.stop_and_verify(operator).await;
}
