//! Step: many users are deleted in Box at once; their removal is held until it is approved.

use harness::Result;

use crate::{
    boxes::user_counts,
    format_count,
    story::{DemoRun, OutputFilter, TIMEOUT, find_condition},
};

const REMOVED_USERS: usize = 250;
/// Shown lines of a long output.
const SHOWN_LINES: usize = 6;

pub(crate) async fn hold_and_approve_removals(demo: &mut DemoRun<'_>) -> Result<()> {
    demo.screen.step("250 users disappear");
    demo.screen.explain(
        "Somebody deletes 250 users in Box. The operator does not remove them until this is approved. On the same day, \
         Alan is hired.",
    );
    let (before, _) = user_counts(&demo.demo_box.acme);
    let revision = demo.get_connection("acme").await?["status"]["rosterRef"]["revision"].as_i64().unwrap_or_default();
    let removed_logins = delete_box_users(demo).await?;
    demo.call_admin("POST", "1001/users", r#"{"name": "Alan Turing", "login": "alan@acme.example"}"#).await?;
    let request = demo.create_request("acme").await?;
    let took = demo.wait_for_condition(&request, "Complete", TIMEOUT).await?;
    demo.run("get boxconnections").await?;
    let seen = demo.get_connection("acme").await?;
    let ([ready, reason, message], status) = (find_condition(&seen, "Ready"), &seen["status"]);
    demo.screen.blank_line();
    demo.screen.check(
        took.is_some() && ready == "True" && reason == "RemovalsHeld" && status["held"]["removals"] == REMOVED_USERS,
        format!("removal of {REMOVED_USERS} users is held; the list is still usable: Ready=True RemovalsHeld"),
        format!("acme is Ready={ready} {reason}, held: {}", status["held"]),
    );
    demo.screen.check(
        status["users"]["total"] == before + 1 && status["lastSync"]["added"] == 1,
        format!("the list has {} users: all previous ones and Alan", format_count(before + 1)),
        format!("the list has {}; the sync was {}", status["users"], status["lastSync"]),
    );
    demo.screen.explain("The connection reports:");
    demo.screen.blank_line();
    demo.screen.wrapped_output(message);
    let found = demo.run_plugin("users acme --search alan@").await?;
    let held = demo.run_plugin_filtered("users acme --held", OutputFilter::Head(SHOWN_LINES)).await?;
    demo.screen.blank_line();
    demo.screen.check(
        found.stdout.contains("alan@acme.example"),
        "new users are published while removals are held",
        "Alan is not in the list",
    );
    let all = removed_logins.iter().all(|login| held.contains(login.as_str()));
    demo.screen.check(
        all && held.lines().count() == REMOVED_USERS + 1,
        format!("exactly the {REMOVED_USERS} missing users are in the list and marked as held"),
        format!("{} lines with held users", held.lines().count()),
    );
    let who = removed_logins.first().map(String::as_str).unwrap_or_default();
    let why = demo.run_plugin(&format!("why acme {who}")).await?;
    demo.screen.blank_line();
    demo.screen.check(
        why.status.success() && why.stdout.contains("held"),
        "kubectl boxsync why explains why one of them is still in the list",
        format!("kubectl boxsync why exited with {}", why.status),
    );

    demo.screen.explain("After reviewing them, with what Box says of them now, Acme's admin approves exactly these:");
    let approve = format!("approve acme --yes --box-api-url {}", demo.demo_box.url());
    let approved = demo.run_plugin(&approve).await?;
    let seen = demo.get_connection("acme").await?;
    let status = &seen["status"];
    demo.screen.blank_line();
    demo.screen.check(
        approved.stdout.contains("Box: gone") && approved.stdout.contains("0 still in the enterprise"),
        "Box says of each of them that they are gone",
        "Box was not asked about them",
    );
    demo.screen.check(
        approved.status.success() && status["held"].is_null() && status["lastSync"]["removed"] == REMOVED_USERS,
        format!("{REMOVED_USERS} users were removed, and no removal is held"),
        format!("held is {}, the sync was {}", status["held"], status["lastSync"]),
    );
    demo.check_user_counts("acme", &demo.demo_box.acme).await?;
    let why = demo.run_plugin(&format!("why acme {who}")).await?;
    demo.screen.blank_line();
    demo.screen.check(
        why.status.code() == Some(1) && why.stdout.contains("was removed"),
        "the same user is reported as removed",
        format!("kubectl boxsync why exited with {}", why.status),
    );
    demo.screen.explain("The change log shows the revisions, newest first:");
    let changes = demo.run_plugin_filtered("changes acme", OutputFilter::Grep("revision")).await?;
    demo.run_plugin(&format!("changes acme --user {who}")).await?;
    let has_line = |line: &str| changes.lines().any(|shown| shown.trim() == line);
    let titles = changes.lines().filter(|line| line.starts_with("revision ")).count();
    demo.screen.blank_line();
    demo.screen.check(
        has_line("+ alan@acme.example") && has_line(&format!("- {who}")) && has_line(&format!("? {who} (held)")),
        format!("{titles} revisions list added, held and removed logins"),
        format!("the change log ({titles} revisions) lacks Alan or {who}"),
    );
    let new_revision = status["rosterRef"]["revision"].as_i64().unwrap_or_default();
    demo.screen.check(
        new_revision == revision + 2,
        format!("two syncs with changes made two revisions: {revision} became {new_revision}"),
        format!("revision {revision} became {new_revision}"),
    );
    Ok(())
}

/// Deletes the first users of Acme in Box. Returns their logins.
async fn delete_box_users(demo: &DemoRun<'_>) -> Result<Vec<String>> {
    let users = demo.demo_box.acme.users();
    let removed: Vec<_> = users.into_iter().take(REMOVED_USERS).collect();
    demo.screen.command(&format!(
        "$ curl $BOX/admin/enterprises/1001/users | jq '.[:{REMOVED_USERS}][].id' | while read id; do\n    \
         curl -X DELETE $BOX/admin/enterprises/1001/users/$id; done"
    ));
    for user in &removed {
        demo.demo_box.call_admin("DELETE", &format!("1001/users/{}", user.id), "").await?;
    }
    Ok(removed.into_iter().map(|user| user.login).collect())
}
