//! Two operators, as two replicas run: one works, the other waits for the Lease.

use std::time::{Duration, Instant};

use harness::{Operator, eventually};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;

use crate::env::{E2eEnv, SHORT_TIMEOUT, count_listed_pages, create_acme};

fn start_replica(env: &E2eEnv, identity: &str) -> Operator {
    env.start_operator_with(&env.operator_settings().flag("--identity", identity))
}

/// Awaits a line of the operator's log that holds these words.
async fn wait_for_log(operator: &Operator, words: &str) {
    eventually(&format!("the log says {words:?}"), SHORT_TIMEOUT, async || {
        if operator.log().contains(words) { Ok(()) } else { Err(operator.log()) }
    })
    .await;
}

/// Asks for a sync and measures how long it takes since `begun`.
async fn time_until_synced(env: &E2eEnv, start: Instant) -> Duration {
    let request = env.wait_until_finished(&env.request_sync("acme").await).await;
    let took = start.elapsed();
    assert!(request.status.is_some_and(|status| status.users.is_some()), "it is done");
    took
}

#[tokio::test]
async fn of_two_replicas_one_leads_and_the_other_takes_over() {
    let env = E2eEnv::new("leading").await;
    let acme = create_acme(&env.sim);
    let mut one = start_replica(&env, "one");
    wait_for_log(&one, "\"leads\"").await;
    let mut two = start_replica(&env, "two");
    wait_for_log(&two, "waits: one holds the Lease").await;
    env.connect_by_client_credentials("acme", &acme).await;
    env.wait_until_ready("acme").await;
    assert_eq!(count_listed_pages(&acme), 2, "one walk over 1,200 users");
    assert_eq!(two.log().matches("waits: ").count(), 1, "{}", two.log());
    assert!(!two.log().contains("\"leads\""), "{}", two.log());

    // A clean stop: the next one works at once.
    let start = Instant::now();
    let ended = one.terminate(Duration::from_secs(10)).await.expect("ends by itself");
    assert!(ended.success(), "{}", one.log());
    let took = time_until_synced(&env, start).await;
    println!("clean stop: the next replica has answered a request after {took:.1?}");
    assert!(took < Duration::from_secs(6), "{took:?}\n{}", two.log());

    // A crash: the next one works when the Lease is over.
    let mut three = start_replica(&env, "three");
    wait_for_log(&three, "waits: two holds the Lease").await;
    let start = Instant::now();
    two.kill().expect("killed");
    let took = time_until_synced(&env, start).await;
    println!("crash: the next replica has answered a request after {took:.1?}");
    assert!(took < Duration::from_secs(20), "{took:?}\n{}", three.log());

    // A leader that was frozen finds itself replaced, and ends.
    let four = start_replica(&env, "four");
    wait_for_log(&four, "waits: three holds the Lease").await;
    three.process().pause().await.expect("paused");
    wait_for_log(&four, "\"leads\"").await;
    three.process().resume().await.expect("resumed");
    eventually("it ends by itself", Duration::from_secs(5), async || {
        if three.process().is_running() { Err(three.log()) } else { Ok(()) }
    })
    .await;
    assert_eq!(three.kill().expect("has ended").code(), Some(1));
    assert!(three.log().contains("leads no longer"), "{}", three.log());

    let leases: Api<Lease> = Api::namespaced(env.client.clone(), &env.namespace);
    let spec = leases.get("boxsync-operator").await.expect("read").spec.expect("a spec");
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("four"), Some(3)));
    let printed = env.run(&["get", "lease", "boxsync-operator"]).await;
    assert!(printed.contains("four"), "{printed}");
    env.stop_and_verify(four).await;
}
