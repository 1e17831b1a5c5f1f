//! Steps: connections fail and reconnect after changes of the authorization and of the client secret.

use std::time::{Duration, Instant};

use harness::{Result, service_account_user};

use crate::{
    cluster::SERVICE_ACCOUNT,
    format_count, format_duration,
    story::{DemoRun, TIMEOUT, find_condition},
};

/// The operator checks the Secret of a disconnected connection every minute.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(65);
const IDLE_TIME: Duration = Duration::from_secs(20);

pub(crate) async fn reconnect_after_authorization(demo: &mut DemoRun<'_>) -> Result<()> {
    demo.screen.step("Initech reconnects");
    demo.screen.explain(
        "Initech's admin authorizes the app in Box. Nothing in the cluster changes. The operator would detect it \
         within about a minute; a request detects it immediately.",
    );
    demo.call_admin("POST", "1003/authorize-app", "").await?;
    let request = demo.create_request("initech").await?;
    let took = demo.wait_for_condition(&request, "Complete", TIMEOUT).await?;
    demo.run("get boxconnection initech").await?;
    let seen = demo.get_connection("initech").await?;
    let [connected, ..] = find_condition(&seen, "Connected");
    demo.screen.blank_line();
    demo.screen.check(
        took.is_some() && connected == "True",
        format!("initech is connected {} after the request", format_duration(took.unwrap_or_default())),
        format!("initech is Connected={connected}"),
    );
    demo.check_user_counts("initech", &demo.demo_box.initech).await
}

pub(crate) async fn deauthorize_app(demo: &mut DemoRun<'_>) -> Result<()> {
    demo.screen.step("Acme's authorization is revoked");
    demo.screen.explain("A request detects this, and the old list is kept.");
    let users_before = demo.get_connection("acme").await?["status"]["users"].take();
    demo.call_admin("POST", "1001/deauthorize-app", "").await?;
    let request = demo.create_request("acme").await?;
    let took = demo.wait_for_condition(&request, "Failed", TIMEOUT).await?;
    demo.run("get boxconnection acme").await?;
    let seen = demo.get_connection("acme").await?;
    let [connected, reason, message] = find_condition(&seen, "Connected");
    demo.screen.blank_line();
    demo.screen.check(
        took.is_some() && connected == "False" && reason == "AppNotAuthorized",
        format!("the request failed after {}: Connected=False {reason}", format_duration(took.unwrap_or_default())),
        format!("acme is Connected={connected} {reason}: {message}"),
    );
    demo.screen.check(
        seen["status"]["users"] == users_before,
        format!("the list is kept: {} users", format_count(users_before["total"].as_u64().unwrap_or_default())),
        format!("users before: {users_before}, now: {}", seen["status"]["users"]),
    );
    demo.screen.explain("Authorized again, with a new request:");
    demo.call_admin("POST", "1001/authorize-app", "").await?;
    let request = demo.create_request("acme").await?;
    let took = demo.wait_for_condition(&request, "Complete", TIMEOUT).await?;
    let seen = demo.get_connection("acme").await?;
    let ([connected, ..], [ready, ..]) = (find_condition(&seen, "Connected"), find_condition(&seen, "Ready"));
    demo.screen.blank_line();
    demo.screen.check(
        took.is_some() && connected == "True" && ready == "True",
        format!("acme is connected and Ready {} after the request", format_duration(took.unwrap_or_default())),
        format!("acme is Connected={connected} Ready={ready}"),
    );
    Ok(())
}

pub(crate) async fn rotate_client_secret(demo: &mut DemoRun<'_>) -> Result<()> {
    demo.screen.step("Initech's client secret is replaced");
    demo.screen.explain("First only in Box: the cluster still has the old secret.");
    demo.call_admin("POST", "1003/rotate-secret", "").await?;
    demo.call_admin("POST", "1003/revoke-tokens", "").await?;
    demo.secrets.add(demo.demo_box.initech.client_secret());
    let request = demo.create_request("initech").await?;
    let failed = demo.wait_for_condition(&request, "Failed", TIMEOUT).await?;
    let seen = demo.get_connection("initech").await?;
    let [connected, reason, message] = find_condition(&seen, "Connected");
    demo.screen.explain("The connection reports:");
    demo.screen.blank_line();
    demo.screen.wrapped_output(message);
    demo.screen.blank_line();
    demo.screen.check(
        failed.is_some() && connected == "False" && reason == "CredentialsRejected",
        "initech is Connected=False CredentialsRejected",
        format!("initech is Connected={connected} {reason}: {message}"),
    );
    demo.screen.explain("kubectl boxsync status shows which connections need action:");
    let status = demo.run_plugin("status").await?;
    demo.screen.blank_line();
    demo.screen.check(
        status.status.code() == Some(1) && status.stdout.contains("initech"),
        "kubectl boxsync status lists initech and exits with 1: action is needed",
        format!("kubectl boxsync status exited with {}", status.status),
    );
    check_no_idle_writes(demo).await?;

    demo.screen.explain("The Secret in the cluster is updated; the operator is not notified:");
    let id = demo.demo_box.initech.client_id();
    let secret = demo.demo_box.initech.client_secret();
    demo.write_file("initech.env", &format!("clientId={id}\nclientSecret={secret}\n"))?;
    let (create, print) = ("create secret generic initech-box --from-env-file=initech.env", "--dry-run=client -o yaml");
    demo.screen.command(&format!("$ kubectl {create} \\\n    {print} | kubectl replace -f -"));
    let yaml = demo.run_silently(&format!("{create} {print}")).await?.into_stdout()?;
    let replaced = demo.kubectl.run_with_stdin(["replace", "-f", "-"], &yaml).await?;
    demo.screen.output(&replaced.into_stdout()?);
    let replaced_at = Instant::now();
    let limit = RECOVERY_TIMEOUT.as_secs();
    let waited = demo.run(&format!("wait --for=condition=Ready boxconnection/initech --timeout={limit}s")).await?;
    let took = replaced_at.elapsed();
    demo.screen.blank_line();
    demo.screen.check(
        waited.status.success(),
        format!("initech recovered automatically after {} (limit: 65 s)", format_duration(took)),
        format!("initech has not recovered {} after the Secret was updated", format_duration(took)),
    );
    demo.check_user_counts("initech", &demo.demo_box.initech).await
}

/// Two connections are idle and one is disconnected: the operator writes nothing.
async fn check_no_idle_writes(demo: &DemoRun<'_>) -> Result<()> {
    let Some(audit) = demo.cluster.audit_log() else {
        demo.screen.skip("writes while idle: skipped, needs the API server's audit log");
        return Ok(());
    };
    demo.screen.explain(&format!(
        "Two connections are idle and one waits for a fix. For {} s, the audit log is checked for writes by the \
         operator.",
        IDLE_TIME.as_secs()
    ));
    let user = service_account_user(&demo.cluster.namespace, SERVICE_ACCOUNT);
    let mark = audit.wait_until_idle(&user, Duration::from_secs(2), TIMEOUT).await?;
    tokio::time::sleep(IDLE_TIME).await;
    let writes = audit.entries_since(mark).by_user(&user).only_writes().without_resource("leases");
    demo.screen.blank_line();
    demo.screen.check(
        writes.is_empty(),
        format!("no write by the operator in {} idle seconds", IDLE_TIME.as_secs()),
        format!("the operator wrote in {} idle seconds: {writes}", IDLE_TIME.as_secs()),
    );
    Ok(())
}
