//! The HTTP endpoints `/livez`, `/readyz` and `/metrics`.

use std::time::Duration;

use harness::{MetricsPage, Operator, eventually, exclusive_control_plane};

use crate::{
    env::{E2eEnv, SHORT_TIMEOUT, create_acme, install_crds},
    metric_names,
};

const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Waits until /readyz returns this status with this text.
async fn wait_for_readiness(operator: &Operator, status: u16, expected: &str) -> String {
    eventually(&format!("/readyz returns {status} {expected:?}"), SHORT_TIMEOUT, async || {
        match operator.http_get("/readyz").await.map_err(|e| e.to_string())? {
            (code, text) if code == status && text.contains(expected) => Ok(text),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

async fn scrape_metrics(operator: &Operator) -> MetricsPage {
    let (status, page) = operator.http_get("/metrics").await.expect("an answer");
    assert_eq!(status, 200);
    MetricsPage::parse(&page).unwrap_or_else(|problem| panic!("{problem}\n{page}"))
}

#[tokio::test]
async fn an_operator_without_crds_reports_it_and_continues_once_they_are_installed() {
    let plane = exclusive_control_plane("health").await.expect("control plane");
    let env = E2eEnv::on_plane(&plane, "health", |manifests| manifests).await;
    let start_replica = |identity| env.start_operator_with(&env.operator_settings().flag("--identity", identity));
    let (mut one, mut early) = (start_replica("one"), start_replica("early"));
    let text = wait_for_readiness(&one, 503, "does not serve").await;
    for kind in ["boxconnections", "usersyncrequests", "userrosters", "userslices"] {
        assert!(text.contains(&format!("{kind}.boxsync.dev")), "{text}");
    }
    assert!(text.contains("boxsync-operator crds | kubectl apply --server-side -f -"), "{text}");
    assert_eq!(one.http_get("/livez").await.expect("an answer").0, 200, "not alive while waiting for CRDs");
    assert_eq!(one.http_get("/nothing").await.expect("an answer").0, 404);
    assert_eq!(scrape_metrics(&one).await.value("boxsync_leader", &[]), Some(0.0));
    // SIGTERM also ends an operator that waits for CRDs.
    assert!(early.terminate(STOP_TIMEOUT).await.expect("exits after SIGTERM").success(), "{}", early.log());
    assert!(early.http_get("/livez").await.is_err(), "port still open");

    let slices = boxsync::api::crds().into_iter().filter(|crd| crd.spec.names.plural != "userslices");
    for crd in slices {
        env.apply_manifest(&serde_saphyr::to_string(&crd).expect("YAML")).await;
    }
    wait_for_readiness(&one, 503, "does not serve userslices.boxsync.dev:").await;
    install_crds(&plane).await;
    wait_for_readiness(&one, 200, "is the leader").await;
    assert!(one.process().is_running());
    assert!(!one.log().contains("consecutive_errors"), "a watch was started too early:\n{}", one.log());

    let enterprise = create_acme(&env.sim);
    env.connect_by_client_credentials("acme", &enterprise).await;
    env.wait_until_ready("acme").await;
    env.run_request("acme").await;
    let own = [("connection_namespace", env.namespace.as_str()), ("name", "acme")];
    // Metrics are updated after the status is written.
    let page = eventually("the metrics match the status", SHORT_TIMEOUT, async || {
        let page = scrape_metrics(&one).await;
        let ready = page.value("boxsync_connection_ready", &own) == Some(1.0);
        let succeeded = page.value("boxsync_requests_total", &[("result", "Succeeded")]) == Some(1.0);
        if ready && succeeded { Ok(page) } else { Err("not yet") }
    })
    .await;
    assert_eq!(page.value("boxsync_leader", &[]), Some(1.0));
    assert_eq!(page.value("boxsync_connection_users", &own), Some(1200.0));
    let pages = page.value("boxsync_box_calls_total", &[("box_endpoint", "users"), ("code", "200")]);
    assert_eq!(pages, Some(4.0), "two listings of two pages");
    assert_eq!(page.value("boxsync_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), Some(1.0));

    let known = metric_names::known_metrics();
    for (name, labels) in page.label_names_by_sample() {
        let own = known.get(name).unwrap_or_else(|| panic!("undocumented metric {name}"));
        assert!(labels.iter().all(|label| own.contains(*label)), "{name}: {labels:?}");
    }
    metric_names::lint_metrics(&one.http_get("/metrics").await.expect("an answer").1).await;

    let two = start_replica("two");
    wait_for_readiness(&two, 200, "Standby: the Lease is held by one.").await;
    let page = scrape_metrics(&two).await;
    assert_eq!(page.value("boxsync_leader", &[]), Some(0.0));
    assert_eq!(page.value("boxsync_connection_ready", &[]), None, "a standby exports connection metrics");
    assert!(one.terminate(STOP_TIMEOUT).await.expect("exits after SIGTERM").success(), "{}", one.log());
    wait_for_readiness(&two, 200, "is the leader").await;
    env.stop_and_verify(two).await;
}
