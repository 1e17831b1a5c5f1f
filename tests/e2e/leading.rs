//! Two operators, as two replicas run: one works, the other waits for the Lease.

use std::time::{Duration, Instant};

use harness::{Operator, eventually};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;

use crate::stage::{SOON, Stage, acme, pages};

fn replica(stage: &Stage, identity: &str) -> Operator {
    stage.start(&stage.settings().flag("--identity", identity))
}

/// Awaits a line of the operator's log that holds these words.
async fn says(operator: &Operator, words: &str) {
    eventually(&format!("the log says {words:?}"), SOON, async || {
        if operator.log().contains(words) { Ok(()) } else { Err(operator.log()) }
    })
    .await;
}

/// Asks for a sync and measures how long it takes since `begun`.
async fn synced_since(stage: &Stage, begun: Instant) -> Duration {
    let request = stage.finished(&stage.ask("acme").await).await;
    let took = begun.elapsed();
    assert!(request.status.is_some_and(|status| status.users.is_some()), "it is done");
    took
}

#[tokio::test]
async fn of_two_replicas_one_works_and_the_other_takes_over() {
    let stage = Stage::begin("leading").await;
    let acme = acme(&stage.sim);
    let mut one = replica(&stage, "one");
    says(&one, "\"leads\"").await;
    let mut two = replica(&stage, "two");
    says(&two, "waits: one holds the Lease").await;
    stage.connect("acme", &acme).await;
    stage.ready("acme").await;
    assert_eq!(pages(&acme), 2, "one walk over 1,200 users");
    assert_eq!(two.log().matches("waits: ").count(), 1, "{}", two.log());
    assert!(!two.log().contains("\"leads\""), "{}", two.log());

    // A clean stop: the next one works at once.
    let begun = Instant::now();
    let ended = one.terminate(Duration::from_secs(10)).await.expect("ends by itself");
    assert!(ended.success(), "{}", one.log());
    let took = synced_since(&stage, begun).await;
    println!("clean stop: the next replica has answered a request after {took:.1?}");
    assert!(took < Duration::from_secs(6), "{took:?}\n{}", two.log());

    // A crash: the next one works when the Lease is over.
    let mut three = replica(&stage, "three");
    says(&three, "waits: two holds the Lease").await;
    let begun = Instant::now();
    two.kill().expect("killed");
    let took = synced_since(&stage, begun).await;
    println!("crash: the next replica has answered a request after {took:.1?}");
    assert!(took < Duration::from_secs(20), "{took:?}\n{}", three.log());

    // A leader that was frozen finds itself replaced, and ends.
    let four = replica(&stage, "four");
    says(&four, "waits: three holds the Lease").await;
    three.process().pause().await.expect("paused");
    says(&four, "\"leads\"").await;
    three.process().resume().await.expect("resumed");
    eventually("it ends by itself", Duration::from_secs(5), async || {
        if three.process().is_running() { Err(three.log()) } else { Ok(()) }
    })
    .await;
    assert_eq!(three.kill().expect("has ended").code(), Some(1));
    assert!(three.log().contains("leads no longer"), "{}", three.log());

    let leases: Api<Lease> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let spec = leases.get("boxsync-operator").await.expect("read").spec.expect("a spec");
    assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("four"), Some(3)));
    let shown = stage.run(&["get", "lease", "boxsync-operator"]).await;
    assert!(shown.contains("four"), "{shown}");
    stage.end(four).await;
}
