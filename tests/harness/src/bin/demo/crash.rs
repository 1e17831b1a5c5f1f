//! crash — the operator dies in the middle of a long sync and comes back, and a reader never sees half a list.

use std::collections::BTreeMap;
use std::time::Duration;

use box_sim::Enterprise;
use harness::Result;

use crate::boxes::{answered_pages, pages};
use crate::reader::{Reader, Seen, answer};
use crate::story::{PATIENCE, Story};
use crate::{number, time};

const SLOW: &str = r#"{"latencyMillis": 700}"#;
const QUICK: &str = r#"{"latencyMillis": 0}"#;

pub(crate) async fn in_the_middle(story: &mut Story<'_>) -> Result<()> {
    story.screen.step("A crash in the middle");
    story.screen.why(
        "Globex is reorganized: in Box, every tenth of its users has a new job title now. Another program reads the \
         list meanwhile, over and over, and compares it with what Box said before and says now.",
    );
    let old = answer(&story.boxes.globex);
    let changed = reorganize(&story.boxes.globex);
    let new = answer(&story.boxes.globex);
    story.screen.command("$ while true; do kubectl boxsync users globex -o jsonl > list.jsonl; … ; done &");
    let reader = Reader::begin(story.boxsync()?, "globex", old, new);
    story.screen.why("Box answers slowly today: 0.7 s a page, 12 pages for Globex.");
    let before = finished(story).await?;
    let answered = answered_pages(&story.boxes.globex);
    story.admin("PATCH", "1002/settings", SLOW).await?;
    let request = story.request("globex").await?;
    story.screen.why("A sync that takes longer than 5 s says how far it is:");
    let under_way = "wait --for=jsonpath={.status.currentSync.trigger}=Requested boxconnection/globex --timeout=30s";
    story.run(under_way).await?;
    story.run("get boxconnection globex -o jsonpath={.status.currentSync}").await?;
    story.screen.why("Now the operator is killed, as a node that loses power would kill it:");
    let pid = story.operator()?.process().pid();
    story.screen.command(&format!("$ kill -KILL {pid}"));
    story.operator()?.kill()?;
    let seen = answered_pages(&story.boxes.globex) - answered;
    story.run("get usersyncrequests").await?;
    let status = story.request_status(&request).await?;
    story.screen.gap();
    story.screen.check(
        (1..12).contains(&seen) && status["phase"] == "Running",
        format!("the operator died after {seen} of 12 pages; the request is not finished"),
        format!("it was killed after {seen} pages; the request is {}", status["phase"]),
    );

    story.screen.why("Box is quick again, and the operator is started again:");
    story.admin("PATCH", "1002/settings", QUICK).await?;
    let rested = [&story.boxes.acme, &story.boxes.initech].map(pages);
    story.screen.command("$ boxsync-operator run …");
    story.operator()?.start_again()?;
    let waited = story.ends(&request, "Complete", PATIENCE).await?;
    let took = story.operator()?.started().elapsed();
    story.run("get boxconnections").await?;
    // What a restart does wrong, it does soon.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let status = story.request_status(&request).await?;
    story.screen.gap();
    story.screen.check(
        waited.is_some(),
        format!("the sync is complete {} after the start, and so is its request", time(took)),
        format!("the request is {status}"),
    );
    story.check_counts("globex", &story.boxes.globex).await?;
    let updated = &status["updated"];
    story.screen.check(
        *updated == changed,
        format!("{} users were updated, those who changed in Box", number(changed)),
        format!("{changed} users changed in Box; the request says {status}"),
    );
    let Seen { old, new, torn, failed } = reader.end().await?;
    story.screen.check(
        torn == 0 && failed == 0 && old > 0 && new > 0,
        format!("torn reads: 0. The reader got the old list {old} times, then the new one {new} times, always whole"),
        format!(
            "the reader got the old list {old} times, the new one {new} times, {torn} torn ones, and {failed} none"
        ),
    );
    let now = finished(story).await?;
    let touched: Vec<_> = before.iter().filter(|(name, version)| now.get(*name) != Some(*version)).collect();
    story.screen.check(
        touched.is_empty(),
        format!("the {} requests that were finished are untouched, to the resourceVersion", before.len()),
        format!("finished requests were changed: {touched:?}"),
    );
    let asked = [&story.boxes.acme, &story.boxes.initech].map(pages);
    story.screen.check(
        asked == rested,
        "acme and initech were fresh: not one page of their lists was asked of Box",
        format!("pages of acme and initech: {rested:?} before the restart, {asked:?} after"),
    );
    Ok(())
}

/// Gives every tenth user another job title; how many.
fn reorganize(enterprise: &Enterprise) -> u64 {
    let users = enterprise.users();
    let chosen = users.iter().step_by(10).map(|user| user.id);
    chosen.filter_map(|id| enterprise.edit(id, |user| "Reorganized".clone_into(&mut user.job_title))).count() as u64
}

/// Requests that have ended, with their resourceVersions.
async fn finished(story: &Story<'_>) -> Result<BTreeMap<String, String>> {
    let list = story.kubectl.get_json(["usersyncrequests"]).await?;
    let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let ended = items.iter().filter(|item| !item["status"]["completionTime"].is_null());
    Ok(ended.map(|item| (text(&item["metadata"]["name"]), text(&item["metadata"]["resourceVersion"]))).collect())
}
