//! connect — from an empty cluster to three connections and their first lists.

use std::time::Duration;

use harness::{Error, Result};

use crate::{
    cluster::CRDS,
    format_duration,
    story::{DemoRun, find_condition},
};

/// The first lists are there within this.
const FIRST_SYNC_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) async fn install_crds(demo: &mut DemoRun<'_>) -> Result<()> {
    let existing =
        demo.run_silently(&format!("get crd {} --ignore-not-found -o name", CRDS.join(" "))).await?.into_stdout()?;
    if existing.trim().is_empty() {
        demo.cluster.mark_crds_created();
        let operator_command = demo.operator_command()?;
        let crds = operator_command.run_subcommand(["crds"]).await?;
        demo.screen.command("$ boxsync-operator crds | kubectl apply --server-side -f -");
        let applied = demo.kubectl.run_with_stdin(["apply", "--server-side", "-f", "-"], &crds).await?;
        demo.screen.output(&applied.stderr);
        demo.screen.output(&applied.into_stdout()?);
        demo.run_silently(&format!("wait --for=condition=Established crd {} --timeout=30s", CRDS.join(" ")))
            .await?
            .into_stdout()?;
    } else if existing.lines().count() < CRDS.len() {
        return Err(Error::new(format!(
            "some of the operator's CRDs are there, and some are not, as an older version left them:\n{existing}\
             Apply those of this one: boxsync-operator crds | kubectl apply --server-side -f -"
        )));
    } else {
        demo.screen.explain(
            "The CRDs are there already: they are used as they are, and stay. (If an operator of yours watches all \
             namespaces, it will take these connections for its own and look for them in the real Box.)",
        );
    }
    let namespace = demo.cluster.namespace.clone();
    demo.cluster.mark_namespace_created();
    demo.run(&format!("create namespace {namespace}")).await?.into_stdout()?;
    if demo.cluster.context().is_none() {
        demo.run(&format!("config set-context --current --namespace={namespace}")).await?.into_stdout()?;
    } else {
        demo.kubectl = demo.kubectl.clone().namespace(&namespace);
    }
    demo.screen.explain(
        "The operator gets a ServiceAccount with the few rights that it needs. It may read a Secret whose name it \
         knows, and can neither list nor watch them.",
    );
    demo.write_file("operator.yaml", include_str!("yaml/operator.yaml"))?;
    demo.run("apply -f operator.yaml").await?.into_stdout()?;
    Ok(())
}

pub(crate) async fn create_connections(demo: &mut DemoRun<'_>) -> Result<()> {
    demo.screen.step("Three connections");
    demo.screen.explain(
        "Acme signs in with client credentials. Globex signs in with a key pair (JWT) and has 12,000 users; most \
         tools stop at 10,000, where Box's older paging ends. Initech's admin has withdrawn the authorization.",
    );
    for (file, enterprise) in [("acme.env", &demo.demo_box.acme), ("initech.env", &demo.demo_box.initech)] {
        let (id, secret) = (enterprise.client_id(), enterprise.client_secret());
        demo.write_file(file, &format!("clientId={id}\nclientSecret={secret}\n"))?;
    }
    demo.write_file("config.json", &demo.demo_box.config_json()?)?;
    demo.run("create secret generic acme-box --from-env-file=acme.env").await?.into_stdout()?;
    demo.run("create secret generic globex-box --from-file=config.json").await?.into_stdout()?;
    demo.run("create secret generic initech-box --from-env-file=initech.env").await?.into_stdout()?;
    demo.write_file("connections.yaml", include_str!("yaml/connections.yaml"))?;
    demo.run("apply -f connections.yaml").await?.into_stdout()?;
    demo.screen.explain("Before an operator has looked at them, they say so:");
    demo.run("get boxconnections").await?.into_stdout()?;
    let acme = demo.get_connection("acme").await?;
    let [status, reason, _] = find_condition(&acme, "Ready");
    demo.screen.blank_line();
    demo.screen.check(
        status == "Unknown" && reason == "WaitingForOperator",
        "a new connection is Ready=Unknown WaitingForOperator, not silently empty",
        format!("a new connection is Ready={status} {reason}"),
    );
    Ok(())
}

pub(crate) async fn start_operator(demo: &mut DemoRun<'_>) -> Result<()> {
    demo.screen.step("The operator starts");
    demo.screen.explain(
        "As that ServiceAccount, with the simulated Box in place of the real one. Between two syncs of a connection \
         lie 15 s; for the demo it is 1 s.",
    );
    demo.kubeconfig = demo.cluster.operator_kubeconfig().await?;
    let operator_command = demo.operator_command()?;
    demo.screen.command(
        "$ boxsync-operator run --box-api-url=$BOX --min-sync-gap=1s \\\n    --watch-namespace=NAMESPACE --identity=demo"
            .replace("NAMESPACE", &demo.cluster.namespace)
            .as_str(),
    );
    let started = operator_command.start(demo.cluster.dir()?)?;
    demo.cluster.operator = Some(started);
    let limit = FIRST_SYNC_TIMEOUT.as_secs();
    let waited = demo
        .run(&format!("wait --for=condition=Ready boxconnection/acme boxconnection/globex --timeout={limit}s"))
        .await?;
    let took = demo.operator()?.started_at().elapsed();
    let left = FIRST_SYNC_TIMEOUT.saturating_sub(took);
    let (_, initech) =
        demo.wait_for_connection("initech", left, |seen| find_condition(seen, "Connected")[0] == "False").await?;
    demo.run("get boxconnections").await?;
    demo.screen.blank_line();
    demo.screen.check(
        waited.status.success() && took <= FIRST_SYNC_TIMEOUT,
        format!("acme and globex are Ready {} after the operator's start (limit: 10 s)", format_duration(took)),
        format!("acme and globex are not both Ready {} after the operator's start", format_duration(took)),
    );
    demo.check_user_counts("acme", &demo.demo_box.acme).await?;
    demo.check_user_counts("globex", &demo.demo_box.globex).await?;
    let [connected, reason, message] = find_condition(&initech, "Connected");
    demo.screen.check(
        connected == "False" && reason == "AppNotAuthorized",
        "initech is Connected=False AppNotAuthorized",
        format!("initech is Connected={connected} {reason}: {message}"),
    );
    demo.screen.explain("What happened to initech, what stays, who does what where, and how to check:");
    demo.screen.command(
        "$ kubectl get boxconnection initech \\\n    -o jsonpath='{.status.conditions[?(@.type==\"Connected\")].message}'",
    );
    demo.screen.wrapped_output(message);
    let client = demo.demo_box.initech.client_id();
    demo.screen.blank_line();
    demo.screen.check(
        message.contains("must authorize") && message.contains(&client),
        "it says who has to authorize which app",
        format!("it does not say who authorizes {client}"),
    );
    Ok(())
}
