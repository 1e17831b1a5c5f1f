//! Leader election between two operator processes.

use std::time::{Duration, Instant};

use harness::{Operator, eventually};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;

use crate::env::{E2eEnv, SHORT_TIMEOUT, count_listed_pages, create_acme};

fn start_replica(env: &E2eEnv, identity: &str) -> Operator {
    env.start_operator_with(&env.operator_settings().flag("--identity", identity))
}

/// Waits until the operator's log contains this text.
async fn wait_for_log(operator: &Operator, text: &str) {
    eventually(&format!("log contains {text:?}"), SHORT_TIMEOUT, async || {
        if operator.log().contains(text) { Ok(()) } else { Err(operator.log()) }
    })
    .await;
}

async fn wait_for_standby(operator: &Operator, holder: &str) {
    eventually(&format!("standby while {holder} leads"), SHORT_TIMEOUT, async || {
        let is_standby = |line: &serde_json::Value| line["message"] == "standby" && line["holder"] == holder;
        if operator.log_lines().iter().any(is_standby) { Ok(()) } else { Err(operator.log()) }
    })
    .await;
}

/// Requests a sync; returns the time from `start` until it is complete.
async fn time_until_synced(env: &E2eEnv, start: Instant) -> Duration {
    let request = env.run_request("acme").await;
    let took = start.elapsed();
    assert!(request.status.is_some_and(|status| status.users.is_some()), "request has no result");
    took
}

#[tokio::test]
async fn of_two_replicas_one_leads_and_the_other_takes_over() {
    let env = E2eEnv::new("leading").await;
    let acme = create_acme(&env.sim);
    let mut one = start_replica(&env, "one");
    wait_for_log(&one, "became leader").await;
    let mut two = start_replica(&env, "two");
    wait_for_standby(&two, "one").await;
    env.connect_by_client_credentials("acme", &acme).await;
    env.wait_until_ready("acme").await;
    assert_eq!(count_listed_pages(&acme), 2, "one listing of 1,200 users");
    assert_eq!(two.log().matches("\"standby\"").count(), 1, "{}", two.log());
    assert!(!two.log().contains("became leader"), "{}", two.log());

    // Graceful stop: the standby takes over immediately.
    let start = Instant::now();
    let ended = one.terminate(Duration::from_secs(10)).await.expect("exits after SIGTERM");
    assert!(ended.success(), "{}", one.log());
    let took = time_until_synced(&env, start).await;
    println!("graceful stop: next replica completed a request after {took:.1?}");
    assert!(took < Duration::from_secs(6), "{took:?}\n{}", two.log());

    // Crash: the standby takes over when the Lease has expired.
    let mut three = start_replica(&env, "three");
    wait_for_standby(&three, "two").await;
    let start = Instant::now();
    two.kill().expect("killed");
    let took = time_until_synced(&env, start).await;
    println!("crash: next replica completed a request after {took:.1?}");
    assert!(took < Duration::from_secs(20), "{took:?}\n{}", three.log());

    // Freeze: a leader that resumes after it was replaced exits.
    let four = start_replica(&env, "four");
    wait_for_standby(&four, "three").await;
    three.process().pause().await.expect("paused");
    wait_for_log(&four, "became leader").await;
    three.process().resume().await.expect("resumed");
    eventually("the old leader exits", Duration::from_secs(5), async || {
        if three.process().is_running() { Err(three.log()) } else { Ok(()) }
    })
    .await;
    assert_eq!(three.kill().expect("exited").code(), Some(1));
    assert!(three.log().contains("lost leadership"), "{}", three.log());

    let leases: Api<Lease> = env.api();
    let spec = leases.get("boxsync-operator").await.expect("read").spec.expect("a spec");
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("four"), Some(3)));
    let printed = env.run(&["get", "lease", "boxsync-operator"]).await;
    assert!(printed.contains("four"), "{printed}");
    env.stop_and_verify(four).await;
}
