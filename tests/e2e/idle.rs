//! An idle operator writes nothing.

use std::time::Duration;

use box_sim::EnterpriseConfig;
use harness::exclusive_control_plane;

use crate::env::{E2eEnv, LONG_TIMEOUT, connection_yaml, create_acme, install_crds};

#[tokio::test]
async fn an_idle_minute_writes_nothing() {
    let plane = exclusive_control_plane("idle").await.expect("control plane");
    install_crds(&plane).await;
    let env = E2eEnv::on_plane(&plane, "idle", |manifests| manifests).await;
    let operator = env.start_operator_with(&env.operator_settings());
    // A ready connection with a finished request; one without a Secret and one without authorization, both of which the
    // operator checks every minute; a suspended one.
    env.connect_by_client_credentials("acme", &create_acme(&env.sim)).await;
    env.wait_until_ready("acme").await;
    env.run_request("acme").await;
    env.apply_manifest(&connection_yaml("secretless", "1002", "clientCredentials", "")).await;
    let withdrawn = env.sim.add_enterprise(EnterpriseConfig::new("1003").users(10));
    withdrawn.deauthorize_app();
    env.connect_by_client_credentials("withdrawn", &withdrawn).await;
    env.apply_manifest(&connection_yaml("suspended", "1004", "clientCredentials", "  suspend: true")).await;
    env.wait_for_condition("secretless", "Connected", "False", "CredentialsMissing").await;
    env.wait_for_condition("withdrawn", "Connected", "False", "AppNotAuthorized").await;
    env.wait_for_condition("suspended", "Ready", "Unknown", "Suspended").await;

    let audit_mark = plane
        .audit_log()
        .wait_until_idle(&env.operator_user, Duration::from_secs(3), LONG_TIMEOUT)
        .await
        .expect("operator becomes idle");
    let calls_before = withdrawn.call_counts().total();
    tokio::time::sleep(Duration::from_secs(63)).await;
    let entries = plane.audit_log().entries_since(audit_mark).by_user(&env.operator_user);
    assert!(
        entries.clone().with_resource("secrets").len() >= 2,
        "missing or invalid Secrets are not re-read:\n{entries}"
    );
    assert!(withdrawn.call_counts().total() > calls_before, "no probe for the connection without authorization");
    let writes = entries.only_writes().without_resource("leases");
    assert!(writes.is_empty(), "{writes}");
    env.stop_and_verify(operator).await;
}
