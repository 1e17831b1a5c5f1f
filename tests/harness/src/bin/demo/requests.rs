//! Steps: sync requests, and a new user in Box.

use std::time::Duration;

use harness::Result;

use crate::{
    boxes::{user_counts, users_call_count},
    format_count, format_duration,
    story::{DemoRun, TIMEOUT, find_condition},
};

/// The limit within which a request for a disconnected connection fails.
const FAIL_TIMEOUT: Duration = Duration::from_secs(5);
pub(crate) const NEW_LOGIN: &str = "grace@acme.example";

pub(crate) async fn sync_on_request(demo: &mut DemoRun<'_>) -> Result<()> {
    demo.screen.step("Requests");
    demo.screen.explain("To sync before the next daily sync, create a UserSyncRequest.");
    let request = demo.create_request("acme").await?;
    let took = demo.wait_for_condition(&request, "Complete", TIMEOUT).await?;
    let status = demo.get_request_status(&request).await?;
    demo.screen.blank_line();
    demo.screen.check(
        took.is_some(),
        format!(
            "the request is Complete after {}, and kubectl wait returned",
            format_duration(took.unwrap_or_default())
        ),
        format!("the request is not Complete: {status}"),
    );
    demo.screen.explain("A connection that is not Connected cannot be synced. Its requests fail immediately:");
    let request = demo.create_request("initech").await?;
    let took = demo.wait_for_condition(&request, "Failed", FAIL_TIMEOUT).await?;
    demo.run("get usersyncrequests").await?;
    let seen = demo.kubectl.get_json(["usersync", &request.name]).await?;
    let [_, reason, message] = find_condition(&seen, "Failed");
    demo.screen.blank_line();
    demo.screen.check(
        took.is_some_and(|took| took <= FAIL_TIMEOUT) && reason == "AppNotAuthorized",
        format!(
            "the request failed after {} (limit: 5 s), with the same reason",
            format_duration(took.unwrap_or_default())
        ),
        format!("the request is {}: {}", seen["status"]["phase"], seen["status"]["conditions"]),
    );
    demo.screen.check(
        message.contains("Platform Apps Manager"),
        "the message says who must do what",
        format!("its message is: {message}"),
    );
    Ok(())
}

pub(crate) async fn add_user_in_box(demo: &mut DemoRun<'_>) -> Result<()> {
    demo.screen.step("A new user");
    demo.screen.explain("Grace is hired: Acme's admin adds her in Box. The next request adds her to the list.");
    let (before, _) = user_counts(&demo.demo_box.acme);
    demo.call_admin("POST", "1001/users", r#"{"name": "Grace Hopper", "login": "grace@acme.example"}"#).await?;
    let pages_before = users_call_count(&demo.demo_box.acme);
    let request = demo.create_request("acme").await?;
    let took = demo.wait_for_condition(&request, "Complete", TIMEOUT).await?;
    demo.run("get boxconnection acme").await?;
    let status = demo.get_request_status(&request).await?;
    demo.screen.blank_line();
    demo.screen.check(
        took.is_some() && status["users"]["total"] == before + 1,
        format!(
            "{} users became {}, and it took {} pages and {}",
            format_count(before),
            format_count(before + 1),
            users_call_count(&demo.demo_box.acme) - pages_before,
            format_duration(took.unwrap_or_default())
        ),
        format!("Box has {} users now; the request says {status}", before + 1),
    );
    demo.check_user_counts("acme", &demo.demo_box.acme).await?;

    demo.screen.explain("The list is in the cluster, readable by programs and people:");
    demo.run("get userroster acme").await?;
    let users = demo.run_plugin(&format!("users acme --search {NEW_LOGIN}")).await?;
    let why = demo.run_plugin(&format!("why acme {NEW_LOGIN}")).await?;
    demo.screen.blank_line();
    demo.screen.check(
        users.status.success() && users.stdout.contains(NEW_LOGIN),
        "she is in the list immediately after the request",
        format!("kubectl boxsync users exited with {} and does not list {NEW_LOGIN}", users.status),
    );
    demo.screen.check(
        why.status.success() && why.stdout.contains("is in the list"),
        "kubectl boxsync why says since when she is in the list",
        format!("kubectl boxsync why exited with {}", why.status),
    );
    let misspelt = demo.run_plugin("why acme garce@acme.example").await?;
    demo.screen.blank_line();
    demo.screen.check(
        misspelt.status.code() == Some(1) && misspelt.stdout.contains(NEW_LOGIN),
        "a misspelt login is not found, and her login is suggested",
        format!("kubectl boxsync why exited with {}", misspelt.status),
    );
    Ok(())
}
