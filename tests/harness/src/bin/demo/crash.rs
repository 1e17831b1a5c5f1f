//! Step: the operator is killed during a long sync and restarted, while a reader checks for torn reads.

use std::collections::BTreeMap;
use std::time::Duration;

use box_sim::Enterprise;
use harness::Result;

use crate::{
    boxes::{successful_users_call_count, users_call_count},
    format_count, format_duration,
    reader::{ListReader, ReadCounts, box_users},
    story::{DemoRun, TIMEOUT},
};

const SLOW_SETTINGS: &str = r#"{"latencyMillis": 700}"#;
const FAST_SETTINGS: &str = r#"{"latencyMillis": 0}"#;

pub(crate) async fn crash_during_sync(demo: &mut DemoRun<'_>) -> Result<()> {
    demo.screen.step("A crash during a sync");
    demo.screen.explain(
        "In Box, every tenth user of Globex gets a new job title. Another program keeps reading the list and compares \
         it with the old and the new state.",
    );
    let old = box_users(&demo.demo_box.globex);
    let changed = change_job_titles(&demo.demo_box.globex);
    let new = box_users(&demo.demo_box.globex);
    demo.screen.command("$ while true; do kubectl boxsync users globex -o jsonl > list.jsonl; … ; done &");
    let reader = ListReader::spawn(demo.plugin_command()?, "globex", old, new);
    demo.screen.explain("Box is slow: 0.7 s per page, 12 pages for Globex.");
    let before = finished_requests(demo).await?;
    let pages_before = successful_users_call_count(&demo.demo_box.globex);
    demo.call_admin("PATCH", "1002/settings", SLOW_SETTINGS).await?;
    let request = demo.create_request("globex").await?;
    demo.screen.explain("A sync that takes longer than 5 s reports its progress:");
    let wait_for_running =
        "wait --for=jsonpath={.status.currentSync.trigger}=Requested boxconnection/globex --timeout=30s";
    demo.run(wait_for_running).await?;
    demo.run("get boxconnection globex -o jsonpath={.status.currentSync}").await?;
    demo.screen.explain("Now the operator is killed (SIGKILL), as by a node failure:");
    let pid = demo.operator()?.process().pid();
    demo.screen.command(&format!("$ kill -KILL {pid}"));
    demo.operator()?.kill()?;
    let pages_served = successful_users_call_count(&demo.demo_box.globex) - pages_before;
    demo.run("get usersyncrequests").await?;
    let status = demo.get_request_status(&request).await?;
    demo.screen.blank_line();
    demo.screen.check(
        (1..12).contains(&pages_served) && status["phase"] == "Running",
        format!("the operator was killed after {pages_served} of 12 pages; the request is not finished"),
        format!("the operator was killed after {pages_served} pages; the request is {}", status["phase"]),
    );

    demo.screen.explain("Box is fast again, and the operator is restarted:");
    demo.call_admin("PATCH", "1002/settings", FAST_SETTINGS).await?;
    let calls_before = [&demo.demo_box.acme, &demo.demo_box.initech].map(users_call_count);
    demo.screen.command("$ boxsync-operator run …");
    demo.operator()?.restart()?;
    let waited = demo.wait_for_condition(&request, "Complete", TIMEOUT).await?;
    let took = demo.operator()?.started_at().elapsed();
    demo.run("get boxconnections").await?;
    // Wrong actions of a restart would happen soon.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let status = demo.get_request_status(&request).await?;
    demo.screen.blank_line();
    demo.screen.check(
        waited.is_some(),
        format!("the sync is complete {} after the start, and so is its request", format_duration(took)),
        format!("the request is {status}"),
    );
    demo.check_user_counts("globex", &demo.demo_box.globex).await?;
    let updated = &status["updated"];
    demo.screen.check(
        *updated == changed,
        format!("{} users were updated, exactly those changed in Box", format_count(changed)),
        format!("{changed} users changed in Box; the request says {status}"),
    );
    let ReadCounts { old, new, torn, failed } = reader.finish().await?;
    demo.screen.check(
        torn == 0 && failed == 0 && old > 0 && new > 0,
        format!("torn reads: 0. The reader saw the old list {old} times and the new list {new} times, always complete"),
        format!(
            "the reader saw the old list {old} times, the new list {new} times, {torn} torn lists and {failed} failures"
        ),
    );
    let now = finished_requests(demo).await?;
    let modified: Vec<_> = before.iter().filter(|(name, version)| now.get(*name) != Some(*version)).collect();
    demo.screen.check(
        modified.is_empty(),
        format!("the {} finished requests were not modified (same resourceVersion)", before.len()),
        format!("finished requests were modified: {modified:?}"),
    );
    let calls_after = [&demo.demo_box.acme, &demo.demo_box.initech].map(users_call_count);
    demo.screen.check(
        calls_after == calls_before,
        "acme and initech were not synced again: no page was requested",
        format!("pages of acme and initech: {calls_before:?} before the restart, {calls_after:?} after"),
    );
    Ok(())
}

/// Gives every tenth user another job title. Returns their number.
fn change_job_titles(enterprise: &Enterprise) -> u64 {
    let users = enterprise.users();
    let chosen = users.iter().step_by(10).map(|user| user.id);
    chosen.filter_map(|id| enterprise.update_user(id, |user| "Reorganized".clone_into(&mut user.job_title))).count()
        as u64
}

/// Finished requests, with their resourceVersions.
async fn finished_requests(demo: &DemoRun<'_>) -> Result<BTreeMap<String, String>> {
    let list = demo.kubectl.get_json(["usersyncrequests"]).await?;
    let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let ended = items.iter().filter(|item| !item["status"]["completionTime"].is_null());
    Ok(ended.map(|item| (text(&item["metadata"]["name"]), text(&item["metadata"]["resourceVersion"]))).collect())
}
