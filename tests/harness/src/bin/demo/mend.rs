//! mend — connections get lost and come back: authorizations, secrets. And what the operator does meanwhile.

use std::time::{Duration, Instant};

use harness::{Result, account_user};

use crate::cluster::ACCOUNT;
use crate::story::{PATIENCE, Story, condition};
use crate::{number, time};

/// The operator looks at the Secret of a lost connection every minute.
const BY_ITSELF: Duration = Duration::from_secs(65);
const IDLE: Duration = Duration::from_secs(20);

pub(crate) async fn granted(story: &mut Story<'_>) -> Result<()> {
    story.screen.step("Initech reconnects");
    story.screen.why(
        "Initech's admin authorizes the app in Box. Nothing in the cluster changes. The operator would find out by \
         itself within a minute or so; a request finds out at once.",
    );
    story.admin("POST", "1003/grant", "").await?;
    let request = story.request("initech").await?;
    let took = story.ends(&request, "Complete", PATIENCE).await?;
    story.run("get boxconnection initech").await?;
    let seen = story.connection("initech").await?;
    let [connected, ..] = condition(&seen, "Connected");
    story.screen.gap();
    story.screen.check(
        took.is_some() && connected == "True",
        format!("initech is connected {} after the request", time(took.unwrap_or_default())),
        format!("initech is Connected={connected}"),
    );
    story.check_counts("initech", &story.boxes.initech).await
}

pub(crate) async fn withdrawn(story: &mut Story<'_>) -> Result<()> {
    story.screen.step("Acme's authorization is withdrawn");
    story.screen.why("A request notices, and the old list stays: a list that is a minute old is better than none.");
    let held = story.connection("acme").await?["status"]["users"].take();
    story.admin("POST", "1001/withdraw", "").await?;
    let request = story.request("acme").await?;
    let took = story.ends(&request, "Failed", PATIENCE).await?;
    story.run("get boxconnection acme").await?;
    let seen = story.connection("acme").await?;
    let [connected, reason, message] = condition(&seen, "Connected");
    story.screen.gap();
    story.screen.check(
        took.is_some() && connected == "False" && reason == "AppNotAuthorized",
        format!("the request noticed after {}: Connected=False {reason}", time(took.unwrap_or_default())),
        format!("acme is Connected={connected} {reason}: {message}"),
    );
    story.screen.check(
        seen["status"]["users"] == held,
        format!("the list stays: {} users", number(held["total"].as_u64().unwrap_or_default())),
        format!("the list held {held} and is now {}", seen["status"]["users"]),
    );
    story.screen.why("Granted again, and asked again:");
    story.admin("POST", "1001/grant", "").await?;
    let request = story.request("acme").await?;
    let took = story.ends(&request, "Complete", PATIENCE).await?;
    let seen = story.connection("acme").await?;
    let ([connected, ..], [ready, ..]) = (condition(&seen, "Connected"), condition(&seen, "Ready"));
    story.screen.gap();
    story.screen.check(
        took.is_some() && connected == "True" && ready == "True",
        format!("acme is connected and Ready {} after the request", time(took.unwrap_or_default())),
        format!("acme is Connected={connected} Ready={ready}"),
    );
    Ok(())
}

pub(crate) async fn rotated(story: &mut Story<'_>) -> Result<()> {
    story.screen.step("Initech's client secret is replaced");
    story.screen.why("In Box only, at first: the cluster still holds the old one.");
    story.admin("POST", "1003/rotate-secret", "").await?;
    story.admin("POST", "1003/revoke-tokens", "").await?;
    story.secrets.plant(story.boxes.initech.client_secret());
    let request = story.request("initech").await?;
    let failed = story.ends(&request, "Failed", PATIENCE).await?;
    let seen = story.connection("initech").await?;
    let [connected, reason, message] = condition(&seen, "Connected");
    story.screen.why("The connection now says:");
    story.screen.gap();
    story.screen.wrapped_output(message);
    story.screen.gap();
    story.screen.check(
        failed.is_some() && connected == "False" && reason == "CredentialsRejected",
        "initech is Connected=False CredentialsRejected",
        format!("initech is Connected={connected} {reason}: {message}"),
    );
    story.screen.why("Whoever looks after the connections sees at a glance who is needed:");
    let status = story.plugin("status").await?;
    story.screen.gap();
    story.screen.check(
        status.status.code() == Some(1) && status.stdout.contains("initech"),
        "kubectl boxsync status names initech, and ends with 1: a person is needed",
        format!("kubectl boxsync status ended with {}", status.status),
    );
    idle(story).await?;

    story.screen.why("The current secret is put into the cluster. Nobody tells the operator:");
    let id = story.boxes.initech.client_id();
    let secret = story.boxes.initech.client_secret();
    story.file("initech.env", &format!("clientId={id}\nclientSecret={secret}\n"))?;
    let (create, print) = ("create secret generic initech-box --from-env-file=initech.env", "--dry-run=client -o yaml");
    story.screen.command(&format!("$ kubectl {create} \\\n    {print} | kubectl replace -f -"));
    let yaml = story.quiet(&format!("{create} {print}")).await?.succeeded()?;
    let replaced = story.kubectl.run_with(["replace", "-f", "-"], &yaml).await?;
    story.screen.output(&replaced.succeeded()?);
    let mended = Instant::now();
    let limit = BY_ITSELF.as_secs();
    let waited = story.run(&format!("wait --for=condition=Ready boxconnection/initech --timeout={limit}s")).await?;
    let took = mended.elapsed();
    story.screen.gap();
    story.screen.check(
        waited.status.success(),
        format!("initech recovered by itself after {} (limit: 65 s)", time(took)),
        format!("initech has not recovered {} after the Secret was put right", time(took)),
    );
    story.check_counts("initech", &story.boxes.initech).await
}

/// Two connections rest and one is lost: nothing is news.
async fn idle(story: &Story<'_>) -> Result<()> {
    let Some(audit) = story.cluster.audit() else {
        story.screen.skip("an idle stretch without a write: not looked at, that needs the API server's audit log");
        return Ok(());
    };
    story.screen.why(&format!(
        "Nothing else is news now: two connections rest, one waits to be put right. For {} s, the API server's audit \
         log is watched for what the operator writes.",
        IDLE.as_secs()
    ));
    let user = account_user(&story.cluster.namespace, ACCOUNT);
    let mark = audit.quiet(&user, Duration::from_secs(2), PATIENCE).await?;
    tokio::time::sleep(IDLE).await;
    let writes = audit.since(mark).by(&user).writes().besides("leases");
    story.screen.gap();
    story.screen.check(
        writes.is_empty(),
        format!("{} idle seconds, no write request by the operator", IDLE.as_secs()),
        format!("in {} idle seconds the operator wrote: {writes}", IDLE.as_secs()),
    );
    Ok(())
}
