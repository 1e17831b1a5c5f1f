//! Steps: CRDs, connections, the first syncs.

use std::time::Duration;

use harness::{Error, Result};

use crate::{
    cluster::CRDS,
    format_duration,
    story::{DemoRun, find_condition},
};

/// The limit for the first lists.
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
            "only some of the operator's CRDs exist (from another version):\n{existing}\
             Apply the CRDs of this version: boxsync-operator crds | kubectl apply --server-side -f -"
        )));
    } else {
        demo.screen.explain(
            "The CRDs already exist; the demo uses them unchanged and keeps them. (If your operator watches all \
             namespaces, it will also reconcile these connections, against the real Box.)",
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
        "The operator gets a ServiceAccount with minimal rights: it can get a Secret by name, but cannot list or watch \
         Secrets.",
    );
    demo.write_file("operator.yaml", include_str!("yaml/operator.yaml"))?;
    demo.run("apply -f operator.yaml").await?.into_stdout()?;
    Ok(())
}

pub(crate) async fn create_connections(demo: &mut DemoRun<'_>) -> Result<()> {
    demo.screen.step("Three connections");
    demo.screen.explain(
        "Acme signs in with client credentials. Globex signs in with a key pair (JWT) and has 12,000 users, \
         beyond the 10,000 limit of Box's offset paging. Initech's admin has revoked the app's authorization.",
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
    demo.screen.explain("Until an operator reconciles them, they report:");
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
        "It runs as that ServiceAccount, against the simulated Box. The minimum interval between syncs is lowered from \
         15 s to 1 s.",
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
    demo.screen.explain("The message says what happened, what was kept, who must do what, and how to verify:");
    demo.screen.command(
        "$ kubectl get boxconnection initech \\\n    -o jsonpath='{.status.conditions[?(@.type==\"Connected\")].message}'",
    );
    demo.screen.wrapped_output(message);
    let client = demo.demo_box.initech.client_id();
    demo.screen.blank_line();
    demo.screen.check(
        message.contains("must authorize") && message.contains(&client),
        "the message says who must authorize which app",
        format!("the message does not say who must authorize {client}"),
    );
    Ok(())
}
