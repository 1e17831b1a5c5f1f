//! The port: whether a process is alive, whether it is ready and what is missing, and what Prometheus reads.

use std::time::Duration;

use harness::{Operator, Options, Scrape, eventually, exclusive};

use crate::series;
use crate::stage::{SOON, Stage, acme, install_crds};

const TEN_SECONDS: Duration = Duration::from_secs(10);

/// Awaits an answer of /readyz with this status and these words.
async fn readiness(operator: &Operator, status: u16, words: &str) -> String {
    eventually(&format!("/readyz says {status} {words:?}"), SOON, async || {
        match operator.get("/readyz").await.map_err(|e| e.to_string())? {
            (told, text) if told == status && text.contains(words) => Ok(text),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

async fn scrape(operator: &Operator) -> Scrape {
    let (status, page) = operator.get("/metrics").await.expect("an answer");
    assert_eq!(status, 200);
    Scrape::read(&page).unwrap_or_else(|problem| panic!("{problem}\n{page}"))
}

#[tokio::test]
async fn an_operator_without_its_kinds_says_so_and_goes_on_once_they_are_installed() {
    let plane = exclusive(Options { name: "health".to_owned(), ..Options::default() }).await.expect("control plane");
    let stage = Stage::on(&plane, "health", |manifests| manifests).await;
    let replica = |identity| stage.start(&stage.settings().flag("--identity", identity));
    let (mut one, mut early) = (replica("one"), replica("early"));
    let text = readiness(&one, 503, "does not serve").await;
    for kind in ["boxconnections", "usersyncrequests", "userrosters", "userslices"] {
        assert!(text.contains(&format!("{kind}.boxsync.dev")), "{text}");
    }
    assert!(text.contains("boxsync-operator crds | kubectl apply --server-side -f -"), "{text}");
    assert_eq!(one.get("/livez").await.expect("an answer").0, 200, "it waits, and lives");
    assert_eq!(one.get("/nothing").await.expect("an answer").0, 404);
    assert_eq!(scrape(&one).await.value("boxsync_leader", &[]), Some(0.0));
    // Waiting is no reason not to end.
    assert!(early.terminate(TEN_SECONDS).await.expect("ends by itself").success(), "{}", early.log());
    assert!(early.get("/livez").await.is_err(), "its port is closed");

    let slices = boxsync::api::crds().into_iter().filter(|crd| crd.spec.names.plural != "userslices");
    for crd in slices {
        stage.apply(&serde_saphyr::to_string(&crd).expect("YAML")).await;
    }
    readiness(&one, 503, "does not serve userslices.boxsync.dev:").await;
    install_crds(&plane).await;
    readiness(&one, 200, "does the work").await;
    assert!(one.process().is_running());
    assert!(!one.log().contains("begins again"), "no watch was tried in vain:\n{}", one.log());

    let enterprise = acme(&stage.sim);
    stage.connect("acme", &enterprise).await;
    stage.ready("acme").await;
    stage.finished(&stage.ask("acme").await).await;
    let own = [("namespace", stage.namespace.as_str()), ("name", "acme")];
    // What is counted is counted after it was written.
    let page = eventually("the page shows what the status says", SOON, async || {
        let page = scrape(&one).await;
        let ready = page.value("boxsync_connection_ready", &own) == Some(1.0);
        let answered = page.value("boxsync_requests_total", &[("result", "Succeeded")]) == Some(1.0);
        if ready && answered { Ok(page) } else { Err("not there yet") }
    })
    .await;
    assert_eq!(page.value("boxsync_leader", &[]), Some(1.0));
    assert_eq!(page.value("boxsync_connection_users", &own), Some(1200.0));
    let pages = page.value("boxsync_box_calls_total", &[("endpoint", "users"), ("code", "200")]);
    assert_eq!(pages, Some(4.0), "two listings of two pages");
    assert_eq!(page.value("boxsync_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), Some(1.0));

    let known = series::known();
    for (name, labels) in page.names() {
        let own = known.get(name).unwrap_or_else(|| panic!("nobody can ask for {name}"));
        assert!(labels.iter().all(|label| own.contains(*label)), "{name}: {labels:?}");
    }
    series::lint(&one.get("/metrics").await.expect("an answer").1).await;

    let two = replica("two");
    readiness(&two, 200, "stands by: one holds the Lease").await;
    let page = scrape(&two).await;
    assert_eq!(page.value("boxsync_leader", &[]), Some(0.0));
    assert_eq!(page.value("boxsync_connection_ready", &[]), None, "the one that works has them");
    assert!(one.terminate(TEN_SECONDS).await.expect("ends by itself").success(), "{}", one.log());
    readiness(&two, 200, "does the work").await;
    stage.end(two).await;
}
