//! `check`: what to do first, by the operator's status and by what this terminal found.

use std::time::Duration;

use box_sim::AuthMethod;
use serde_json::{Value, json};

use crate::{
    check::{CheckEnv, check_marks, remediations},
    env::{NAMESPACE, condition_json, ready_status},
};

#[tokio::test]
async fn what_the_operator_knows_is_shown_first() {
    let env = CheckEnv::new(AuthMethod::ClientCredentials).await;
    let mut status = ready_status(3);
    let message = "The app is denied: \"No.\" (unauthorized_client). A Box admin must authorize it.";
    status["conditions"] = json!([
        condition_json("Ready", "False", "AppNotAuthorized", message),
        condition_json("Connected", "False", "AppNotAuthorized", message),
        condition_json("Synced", "False", "AppNotAuthorized", message),
        condition_json("Stalled", "True", "AppNotAuthorized", message),
    ]);
    status["failures"] = json!({ "reason": "AppNotAuthorized", "count": 3, "lastTime": "2026-11-22T11:00:00Z" });
    status["nextSyncTime"] = Value::Null;
    env.cli.set_status("acme", status);
    let output = env.run_check("acme").await;
    let expected = "\
acme   AppNotAuthorized for 2h · needs action
  DO     A Box admin must authorize it.
  TYPE   kubectl boxsync handover acme -n backup
  BOX    \"No.\" (unauthorized_client)
  LIST   3 users, fresh until 2026-11-24 09:00Z (in 45h)
  RETRY  every 1–15 min; now: kubectl boxsync sync acme -n backup --wait
  users      3 · 3 active · 0 inactive · 0 restricted · 0 app · 0 held · 0 removed
  last sync  2026-11-22 09:00Z (3h ago) · Scheduled · 2 added · 1 updated · 0 removed · revision 42
  Connected  False · AppNotAuthorized · for 2h
  Ready      False · AppNotAuthorized · for 2h
  Synced     False · AppNotAuthorized · for 2h
  failures   3 consecutive, last 60m ago · AppNotAuthorized

Action: A Box admin must authorize it (kubectl boxsync handover acme -n backup).
The operator checks the Secret every minute and tries changes at once; it retries Box every 15 minutes, and syncs as soon as sign-in succeeds.

From this terminal
✓ operator, CRDs, Secret, credentials, Box, clock, token, enterprise, user list
";
    let (leader, rest) = output.out.split_once("\nacme").expect("both");
    assert!(leader.starts_with("Operator: pod-a is the leader (Lease "), "{leader}");
    assert_eq!(format!("acme{rest}"), expected);
}

#[tokio::test]
async fn the_operators_cause_comes_before_what_this_terminal_cannot_reach() {
    let env = CheckEnv::new(AuthMethod::ClientCredentials).await;
    let mut status = ready_status(3);
    let message = "The app is denied. A Box admin must authorize it.";
    status["conditions"] = json!([
        condition_json("Ready", "False", "AppNotAuthorized", message),
        condition_json("Connected", "False", "AppNotAuthorized", message),
        condition_json("Stalled", "True", "AppNotAuthorized", message),
    ]);
    env.cli.set_status("acme", status);
    let output = env.cli.run("check acme --box-api-url http://127.0.0.1:1").await;
    assert!(remediations(&output).starts_with("A Box admin must authorize it"), "{}", output.out);
    assert!(output.out.contains("\n✗ Box          127.0.0.1 cannot be reached"), "{}", output.out);
    assert_eq!(output.code, 1);
}

#[tokio::test]
async fn a_connection_that_no_operator_watches_is_a_failure() {
    let env = CheckEnv::new(AuthMethod::ClientCredentials).await;
    env.cli.set_status(
        "acme",
        json!({ "observedGeneration": -1, "conditions": [
        condition_json("Ready", "Unknown", "WaitingForOperator", "No operator has processed it.")] }),
    );
    // Box's clock stays, which the check of the clock tells.
    env.cli.clock.advance(Duration::from_secs(120));
    env.cli.apply_lease(4);
    let output = env.run_check("acme").await;
    assert_eq!((check_marks(&output).as_str(), output.code), ("✗✓✓✓✓✗✓✓✓", 1), "{}", output.out);
    assert!(remediations(&output).contains("chart value watchNamespaces"), "{}", output.out);
}

#[tokio::test]
async fn a_suspended_connection_is_told_how_to_resume_it() {
    let env = CheckEnv::new(AuthMethod::ClientCredentials).await;
    env.cli.set_status("acme", ready_status(3));
    env.cli.kube.edit("BoxConnection", NAMESPACE, "acme", |c| c["spec"]["suspend"] = true.into());
    let output = env.run_check("acme").await;
    assert!(!output.out.contains("boxsync sync"), "a sync fails while it is suspended: {}", output.out);
    assert!(remediations(&output).contains("kubectl patch boxconnection acme -n backup"), "{}", output.out);
}

#[tokio::test]
async fn what_passes_by_itself_is_not_called_an_action() {
    let env = CheckEnv::new(AuthMethod::ClientCredentials).await;
    let mut status = ready_status(3);
    status["conditions"][2] = condition_json("Synced", "False", "BoxUnavailable", "Box is not available: 503.");
    status["failures"] = json!({ "reason": "BoxUnavailable", "count": 1, "lastTime": "2026-11-22T11:59:00Z", "retryTime": "2026-11-22T12:01:00Z" });
    env.cli.set_status("acme", status);
    let output = env.run_check("acme").await;
    let expected =
        "none at first. Box is not available: 503. It is tried again: kubectl boxsync sync acme -n backup --wait.";
    assert!(remediations(&output).starts_with(expected), "{}", output.out);
    assert!(!output.out.contains("TYPE"), "the command is in RETRY already: {}", output.out);
}
