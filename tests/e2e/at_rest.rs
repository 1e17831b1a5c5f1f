//! Nothing to do, nothing to write.

use std::time::Duration;

use box_sim::EnterpriseSpec;
use harness::{Options, exclusive};

use crate::stage::{LATER, Stage, acme, connection, install_crds};

#[tokio::test]
async fn an_idle_minute_writes_nothing() {
    let plane = exclusive(Options { name: "idle".to_owned(), ..Options::default() }).await.expect("control plane");
    install_crds(&plane).await;
    let stage = Stage::on(&plane, "idle", |manifests| manifests).await;
    let operator = stage.start(&stage.settings());
    // One that works, with a finished request; one that waits for its Secret and one for its admin, both of which the
    // operator looks at every minute; one that is suspended.
    stage.connect("acme", &acme(&stage.sim)).await;
    stage.ready("acme").await;
    stage.finished(&stage.ask("acme").await).await;
    stage.apply(&connection("secretless", "1002", "clientCredentials", "")).await;
    let withdrawn = stage.sim.enterprise(EnterpriseSpec::new("1003").users(10));
    withdrawn.withdraw();
    stage.connect("withdrawn", &withdrawn).await;
    stage.apply(&connection("suspended", "1004", "clientCredentials", "  suspend: true")).await;
    stage.told("secretless", "Connected", "False", "CredentialsMissing").await;
    stage.told("withdrawn", "Connected", "False", "AppNotAuthorized").await;
    stage.told("suspended", "Ready", "Unknown", "Suspended").await;

    let mark = plane.audit().quiet(&stage.user, Duration::from_secs(3), LATER).await.expect("it becomes quiet");
    let asked = withdrawn.calls().total();
    tokio::time::sleep(Duration::from_secs(63)).await;
    let seen = plane.audit().since(mark).by(&stage.user);
    assert!(seen.clone().of("secrets").len() >= 2, "it looks at the Secrets that are missing or of no use:\n{seen}");
    assert!(withdrawn.calls().total() > asked, "it asks Box again for the one that was withdrawn");
    let writes = seen.writes().besides("leases");
    assert!(writes.is_empty(), "{writes}");
    stage.end(operator).await;
}
