//! connect — from an empty cluster to three connections and their first lists.

use std::time::Duration;

use harness::{Error, Result};

use crate::cluster::CRDS;
use crate::story::{Story, condition};
use crate::time;

/// The first lists are there within this.
const FIRST_LISTS: Duration = Duration::from_secs(10);

pub(crate) async fn crds(story: &mut Story<'_>) -> Result<()> {
    let there = story.quiet(&format!("get crd {} --ignore-not-found -o name", CRDS.join(" "))).await?.succeeded()?;
    if there.trim().is_empty() {
        story.cluster.owns_crds();
        let settings = story.settings()?;
        let crds = settings.print(["crds"]).await?;
        story.screen.command("$ boxsync-operator crds | kubectl apply --server-side -f -");
        let applied = story.kubectl.run_with(["apply", "--server-side", "-f", "-"], &crds).await?;
        story.screen.output(&applied.stderr);
        story.screen.output(&applied.succeeded()?);
        story
            .quiet(&format!("wait --for=condition=Established crd {} --timeout=30s", CRDS.join(" ")))
            .await?
            .succeeded()?;
    } else if there.lines().count() < CRDS.len() {
        return Err(Error::new(format!(
            "some of the operator's CRDs are there, and some are not, as an older version left them:\n{there}\
             Apply those of this one: boxsync-operator crds | kubectl apply --server-side -f -"
        )));
    } else {
        story.screen.why(
            "The CRDs are there already: they are used as they are, and stay. (If an operator of yours watches all \
             namespaces, it will take these connections for its own and look for them in the real Box.)",
        );
    }
    let namespace = story.cluster.namespace.clone();
    story.cluster.owns_namespace();
    story.run(&format!("create namespace {namespace}")).await?.succeeded()?;
    if story.cluster.context().is_none() {
        story.run(&format!("config set-context --current --namespace={namespace}")).await?.succeeded()?;
    } else {
        story.kubectl = story.kubectl.clone().namespace(&namespace);
    }
    story.screen.why(
        "The operator gets a ServiceAccount with the few rights that it needs. It may read a Secret whose name it \
         knows, and can neither list nor watch them.",
    );
    story.file("operator.yaml", include_str!("yaml/operator.yaml"))?;
    story.run("apply -f operator.yaml").await?.succeeded()?;
    Ok(())
}

pub(crate) async fn connections(story: &mut Story<'_>) -> Result<()> {
    story.screen.step("Three connections");
    story.screen.why(
        "Acme signs in with client credentials. Globex signs in with a key pair (JWT) and has 12,000 users; most \
         tools stop at 10,000, where Box's older paging ends. Initech's admin has withdrawn the authorization.",
    );
    for (file, enterprise) in [("acme.env", &story.boxes.acme), ("initech.env", &story.boxes.initech)] {
        let (id, secret) = (enterprise.client_id(), enterprise.client_secret());
        story.file(file, &format!("clientId={id}\nclientSecret={secret}\n"))?;
    }
    story.file("config.json", &story.boxes.config_json()?)?;
    story.run("create secret generic acme-box --from-env-file=acme.env").await?.succeeded()?;
    story.run("create secret generic globex-box --from-file=config.json").await?.succeeded()?;
    story.run("create secret generic initech-box --from-env-file=initech.env").await?.succeeded()?;
    story.file("connections.yaml", include_str!("yaml/connections.yaml"))?;
    story.run("apply -f connections.yaml").await?.succeeded()?;
    story.screen.why("Before an operator has looked at them, they say so:");
    story.run("get boxconnections").await?.succeeded()?;
    let acme = story.connection("acme").await?;
    let [status, reason, _] = condition(&acme, "Ready");
    story.screen.gap();
    story.screen.check(
        status == "Unknown" && reason == "WaitingForOperator",
        "a new connection is Ready=Unknown WaitingForOperator, not silently empty",
        format!("a new connection is Ready={status} {reason}"),
    );
    Ok(())
}

pub(crate) async fn operator(story: &mut Story<'_>) -> Result<()> {
    story.screen.step("The operator starts");
    story.screen.why(
        "As that ServiceAccount, with the simulated Box in place of the real one. Between two syncs of a connection \
         lie 15 s; for the demo it is 1 s.",
    );
    story.kubeconfig = story.cluster.operator_kubeconfig().await?;
    let settings = story.settings()?;
    story.screen.command(
        "$ boxsync-operator run --box-api-url=$BOX --min-sync-gap=1s \\\n    --watch-namespace=NAMESPACE --identity=demo"
            .replace("NAMESPACE", &story.cluster.namespace)
            .as_str(),
    );
    let started = settings.start(story.cluster.folder()?)?;
    story.cluster.operator = Some(started);
    let limit = FIRST_LISTS.as_secs();
    let waited = story
        .run(&format!("wait --for=condition=Ready boxconnection/acme boxconnection/globex --timeout={limit}s"))
        .await?;
    let took = story.operator()?.started().elapsed();
    let left = FIRST_LISTS.saturating_sub(took);
    let (_, initech) = story.until("initech", left, |seen| condition(seen, "Connected")[0] == "False").await?;
    story.run("get boxconnections").await?;
    story.screen.gap();
    story.screen.check(
        waited.status.success() && took <= FIRST_LISTS,
        format!("acme and globex are Ready {} after the operator's start (limit: 10 s)", time(took)),
        format!("acme and globex are not both Ready {} after the operator's start", time(took)),
    );
    story.check_counts("acme", &story.boxes.acme).await?;
    story.check_counts("globex", &story.boxes.globex).await?;
    let [connected, reason, message] = condition(&initech, "Connected");
    story.screen.check(
        connected == "False" && reason == "AppNotAuthorized",
        "initech is Connected=False AppNotAuthorized",
        format!("initech is Connected={connected} {reason}: {message}"),
    );
    story.screen.why("What happened to initech, what stays, who does what where, and how to check:");
    story.screen.command(
        "$ kubectl get boxconnection initech \\\n    -o jsonpath='{.status.conditions[?(@.type==\"Connected\")].message}'",
    );
    story.screen.wrapped_output(message);
    let client = story.boxes.initech.client_id();
    story.screen.gap();
    story.screen.check(
        message.contains("authorizes") && message.contains(&client),
        "it says who has to authorize which app",
        format!("it does not say who authorizes {client}"),
    );
    Ok(())
}
