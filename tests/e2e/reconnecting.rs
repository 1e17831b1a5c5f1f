//! The authorization is withdrawn and granted, the secret replaced: both are noticed.

use boxsync::api::Conditions as _;

use crate::stage::{Stage, acme, condition, conditions, pages, request_conditions};
use crate::table::Table;

#[tokio::test]
async fn a_request_without_authorization_fails_at_once_and_says_how_to_reconnect() {
    let stage = Stage::begin("withdrawn").await;
    let acme = acme(&stage.sim);
    let operator = stage.operator();
    stage.connect("acme", &acme).await;
    stage.ready("acme").await;

    acme.withdraw();
    let name = stage.ask("acme").await;
    let request = stage.finished(&name).await;
    let (_, reason, message) = condition(request_conditions(&request), "Failed");
    assert_eq!(reason, "AppNotAuthorized");
    let client_id = acme.client_id();
    for words in [&client_id, "Admin Console", "1,200 users) stays", "create a new request"] {
        assert!(message.contains(words), "no {words:?} in: {message}");
    }
    assert!(request_conditions(&request).of("Stalled").is_some());
    stage.run(&["wait", "--for=condition=Failed", &format!("usersync/{name}"), "--timeout=10s"]).await;
    let table = Table::read(&stage.run(&["get", "usersync"]).await);
    assert_eq!(table.row(&name)[1..8], ["acme", "Failed", "", "", "", "", "AppNotAuthorized"]);

    let connection = stage.told("acme", "Connected", "False", "AppNotAuthorized").await;
    let all = conditions(&connection);
    assert!(condition(all, "Connected").2.contains(&client_id));
    assert_eq!(condition(all, "Ready").1, "AppNotAuthorized");
    assert_eq!(condition(all, "Stalled").0, "True");
    let status = connection.status.clone().expect("a status");
    assert_eq!(status.users.map(|users| users.total), Some(1_200), "the old list stays");
    assert_eq!(status.next_sync_time, None);
    let table = Table::read(&stage.run(&["get", "boxconn"]).await);
    assert_eq!(table.row("acme")[2..6], ["False", "False", "AppNotAuthorized", "1200"]);
    let note = stage.event("BoxConnection", "acme", "Warning", "AppNotAuthorized").await;
    assert!(note.contains(&client_id), "{note}");
    stage.event("UserSyncRequest", &name, "Warning", "AppNotAuthorized").await;

    acme.grant();
    let request = stage.finished(&stage.ask("acme").await).await;
    assert_eq!(condition(request_conditions(&request), "Complete").1, "Synced");
    let connection = stage.ready("acme").await;
    assert!(conditions(&connection).of("Stalled").is_none());
    let trigger = connection.status.and_then(|s| s.last_sync).map(|sync| sync.trigger.as_str());
    assert_eq!(trigger, Some("Reconnected"));
    stage.end(operator).await;
}

#[tokio::test]
async fn a_withdrawal_and_a_new_authorization_are_noticed_without_touching_the_cluster() {
    let stage = Stage::begin("probes").await;
    let acme = acme(&stage.sim);
    let operator = stage.start(&stage.settings().flag("--probe-interval", "2s"));
    stage.connect("acme", &acme).await;
    stage.ready("acme").await;
    acme.forget_calls();
    acme.withdraw();
    stage.told("acme", "Connected", "False", "AppNotAuthorized").await;
    assert_eq!(pages(&acme), 0, "to notice it, nobody is listed");
    acme.grant();
    stage.ready("acme").await;
    stage.end(operator).await;
}

#[tokio::test]
async fn a_wrong_secret_is_told_and_the_right_one_is_taken_at_once_with_a_request() {
    let stage = Stage::begin("rotated").await;
    let acme = acme(&stage.sim);
    let operator = stage.operator();
    let wrong = stage.secrets.plant("a secret of last year");
    stage.secret("acme", &[("clientId", &acme.client_id()), ("clientSecret", &wrong)]).await;
    stage.apply(&crate::stage::connection("acme", "1001", "clientCredentials", "")).await;
    let connection = stage.told("acme", "Connected", "False", "CredentialsRejected").await;
    let message = condition(conditions(&connection), "Connected").2;
    for words in ["invalid_client", "Secret acme", "No list has been fetched yet"] {
        assert!(message.contains(words), "no {words:?} in: {message}");
    }
    stage.put_credentials("acme", &acme).await;
    let request = stage.finished(&stage.ask("acme").await).await;
    assert_eq!(condition(request_conditions(&request), "Complete").1, "Synced");
    stage.ready("acme").await;
    stage.end(operator).await;
}
