//! held — many vanish in Box at once: they stay in the list until somebody lets them go.

use harness::Result;

use crate::boxes::truth;
use crate::number;
use crate::story::{Cut, PATIENCE, Story, condition};

const VANISHED: usize = 250;
/// Of a long output, so much is shown.
const HEAD: usize = 6;

pub(crate) async fn vanish(story: &mut Story<'_>) -> Result<()> {
    story.screen.step("250 users vanish");
    story.screen.why(
        "Somebody cleans up in Box, and every tool that reads the list is about to take 250 people for gone. On the \
         same day, Alan is hired.",
    );
    let (before, _) = truth(&story.boxes.acme);
    let revision = story.connection("acme").await?["status"]["rosterRef"]["revision"].as_i64().unwrap_or_default();
    let gone = delete(story).await?;
    story.admin("POST", "1001/users", r#"{"name": "Alan Turing", "login": "alan@acme.example"}"#).await?;
    let request = story.request("acme").await?;
    let took = story.ends(&request, "Complete", PATIENCE).await?;
    story.run("get boxconnections").await?;
    let seen = story.connection("acme").await?;
    let ([ready, reason, message], status) = (condition(&seen, "Ready"), &seen["status"]);
    story.screen.gap();
    story.screen.check(
        took.is_some() && ready == "True" && reason == "RemovalsHeld" && status["held"]["removals"] == VANISHED,
        format!("the removal of {VANISHED} users is held, and the list is still good: Ready=True RemovalsHeld"),
        format!("acme is Ready={ready} {reason}, held: {}", status["held"]),
    );
    story.screen.check(
        status["users"]["total"] == before + 1 && status["lastSync"]["added"] == 1,
        format!("the list has {} users: everybody of before, and Alan", number(before + 1)),
        format!("the list has {}; the sync was {}", status["users"], status["lastSync"]),
    );
    story.screen.why("What the connection says:");
    story.screen.gap();
    story.screen.wrapped_output(message);
    let found = story.plugin("users acme --search alan@").await?;
    let held = story.plugin_cut("users acme --held", Cut::Head(HEAD)).await?;
    story.screen.gap();
    story.screen.check(
        found.stdout.contains("alan@acme.example"),
        "who is new is published, although others are held",
        "Alan is not in the list",
    );
    let all = gone.iter().all(|login| held.contains(login.as_str()));
    story.screen.check(
        all && held.lines().count() == VANISHED + 1,
        format!("the {VANISHED} who vanished are in the list, and marked: exactly they"),
        format!("{} lines tell of held users", held.lines().count()),
    );
    let who = gone.first().map(String::as_str).unwrap_or_default();
    let why = story.plugin(&format!("why acme {who}")).await?;
    story.screen.gap();
    story.screen.check(
        why.status.success() && why.stdout.contains("held"),
        "asked about one of them, it says why they are still there",
        format!("kubectl boxsync why ended with {}", why.status),
    );

    story.screen.why("Acme's admin has looked at them, and lets exactly these go:");
    let approved = story.plugin("approve acme --yes").await?;
    let seen = story.connection("acme").await?;
    let status = &seen["status"];
    story.screen.gap();
    story.screen.check(
        approved.status.success() && status["held"].is_null() && status["lastSync"]["removed"] == VANISHED,
        format!("{VANISHED} users were removed, and nothing is held any more"),
        format!("held is {}, the sync was {}", status["held"], status["lastSync"]),
    );
    story.check_counts("acme", &story.boxes.acme).await?;
    let why = story.plugin(&format!("why acme {who}")).await?;
    story.screen.gap();
    story.screen.check(
        why.status.code() == Some(1) && why.stdout.contains("was removed"),
        "the same person is known as removed",
        format!("kubectl boxsync why ended with {}", why.status),
    );
    story.screen.why("What became of the list is on record, newest first:");
    let changes = story.plugin_cut("changes acme", Cut::Grep("revision")).await?;
    story.plugin(&format!("changes acme --user {who}")).await?;
    let told = |line: &str| changes.lines().any(|told| told.trim() == line);
    let titles = changes.lines().filter(|line| line.starts_with("revision ")).count();
    story.screen.gap();
    story.screen.check(
        told("+ alan@acme.example") && told(&format!("- {who}")) && told(&format!("? {who} (held)")),
        format!("{titles} revisions tell by login who came, who was held and who went"),
        format!("the record of {titles} revisions does not tell of Alan, or of {who}"),
    );
    let revised = status["rosterRef"]["revision"].as_i64().unwrap_or_default();
    story.screen.check(
        revised == revision + 2,
        format!("two syncs that changed something were two revisions: {revision} became {revised}"),
        format!("revision {revision} became {revised}"),
    );
    Ok(())
}

/// Deletes the first users of Acme in Box; their logins.
async fn delete(story: &Story<'_>) -> Result<Vec<String>> {
    let users = story.boxes.acme.users();
    let gone: Vec<_> = users.into_iter().take(VANISHED).collect();
    story.screen.command(&format!(
        "$ curl $BOX/admin/enterprises/1001/users | jq '.[:{VANISHED}][].id' | while read id; do\n    \
         curl -X DELETE $BOX/admin/enterprises/1001/users/$id; done"
    ));
    for user in &gone {
        story.boxes.admin("DELETE", &format!("1001/users/{}", user.id), "").await?;
    }
    Ok(gone.into_iter().map(|user| user.login).collect())
}
