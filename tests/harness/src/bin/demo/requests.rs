//! requests — somebody wants the list now.

use std::time::Duration;

use harness::Result;

use crate::boxes::{pages, truth};
use crate::story::{PATIENCE, Story, condition};
use crate::{number, time};

/// A request for a connection that is lost fails within this.
const REFUSAL: Duration = Duration::from_secs(5);
const NEW: &str = "grace@acme.example";

pub(crate) async fn answers(story: &mut Story<'_>) -> Result<()> {
    story.screen.step("Requests");
    story.screen.why("Whoever needs the list now, and not at the next daily sync, creates a UserSyncRequest.");
    let request = story.request("acme").await?;
    let took = story.ends(&request, "Complete", PATIENCE).await?;
    let status = story.request_status(&request).await?;
    story.screen.gap();
    story.screen.check(
        took.is_some(),
        format!("the request is Complete after {}, and kubectl wait returned", time(took.unwrap_or_default())),
        format!("the request is not Complete: {status}"),
    );
    story
        .screen
        .why("A connection that is lost cannot be synced. Its requests do not wait for ever, they fail at once:");
    let request = story.request("initech").await?;
    let took = story.ends(&request, "Failed", REFUSAL).await?;
    story.run("get usersyncrequests").await?;
    let seen = story.kubectl.get_json(["usersync", &request.name]).await?;
    let [_, reason, message] = condition(&seen, "Failed");
    story.screen.gap();
    story.screen.check(
        took.is_some_and(|took| took <= REFUSAL) && reason == "AppNotAuthorized",
        format!("the request failed after {} (limit: 5 s), with the same reason", time(took.unwrap_or_default())),
        format!("the request is {}: {}", seen["status"]["phase"], seen["status"]["conditions"]),
    );
    story.screen.check(
        message.contains("create a new request"),
        "its message says what to do, and to create a new request then",
        format!("its message is: {message}"),
    );
    Ok(())
}

pub(crate) async fn somebody_new(story: &mut Story<'_>) -> Result<()> {
    story.screen.step("Somebody new");
    story.screen.why("Grace is hired: Acme's admin adds her in Box. The next request brings her into the list.");
    let (before, _) = truth(&story.boxes.acme);
    story.admin("POST", "1001/users", r#"{"name": "Grace Hopper", "login": "grace@acme.example"}"#).await?;
    let pages_before = pages(&story.boxes.acme);
    let request = story.request("acme").await?;
    let took = story.ends(&request, "Complete", PATIENCE).await?;
    story.run("get boxconnection acme").await?;
    let status = story.request_status(&request).await?;
    story.screen.gap();
    story.screen.check(
        took.is_some() && status["users"]["total"] == before + 1,
        format!(
            "{} users became {}, and it took {} pages and {}",
            number(before),
            number(before + 1),
            pages(&story.boxes.acme) - pages_before,
            time(took.unwrap_or_default())
        ),
        format!("Box has {} users now; the request says {status}", before + 1),
    );
    story.check_counts("acme", &story.boxes.acme).await?;

    story.screen.why("The list itself is in the cluster, for other programs and for people:");
    story.run("get userroster acme").await?;
    let users = story.plugin(&format!("users acme --search {NEW}")).await?;
    let why = story.plugin(&format!("why acme {NEW}")).await?;
    story.screen.gap();
    story.screen.check(
        users.status.success() && users.stdout.contains(NEW),
        "she is found in the list, right after the request",
        format!("kubectl boxsync users ended with {} and does not know {NEW}", users.status),
    );
    story.screen.check(
        why.status.success() && why.stdout.contains("is in the list"),
        "kubectl boxsync why says since when",
        format!("kubectl boxsync why ended with {}", why.status),
    );
    let misspelt = story.plugin("why acme garce@acme.example").await?;
    story.screen.gap();
    story.screen.check(
        misspelt.status.code() == Some(1) && misspelt.stdout.contains(NEW),
        "a misspelt login is not in the list, and she is named as near",
        format!("kubectl boxsync why ended with {}", misspelt.status),
    );
    Ok(())
}
