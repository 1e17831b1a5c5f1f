//! Step: Box's list ends early. Nobody is removed.

use std::time::Duration;

use harness::Result;

use crate::{
    format_count, format_duration,
    story::{DemoRun, find_condition},
};

/// Three attempts, with pauses.
const END_TIMEOUT: Duration = Duration::from_secs(180);

pub(crate) async fn reject_early_end(demo: &mut DemoRun<'_>) -> Result<()> {
    demo.screen.step("Box's list ends early");
    demo.screen.explain(
        "Box ends its list after 85 % of the users, as if the others had left. The operator asks Box about those who are \
         missing, one by one; Box knows them, so the list is not believed.",
    );
    let before = demo.get_connection("acme").await?["status"]["users"].take();
    demo.call_admin("PUT", "1001/behaviours/walk-ends-early", "").await?;
    let request = demo.create_request("acme").await?;
    let is_rejected = |c: &serde_json::Value| c["status"]["failures"]["reason"] == "BoxResponseInvalid";
    let (rejected, seen) = demo.wait_for_connection("acme", END_TIMEOUT, is_rejected).await?;
    demo.run("get boxconnection acme").await?;
    let [_, reason, message] = find_condition(&seen, "Synced");
    demo.screen.explain("The connection reports:");
    demo.screen.blank_line();
    demo.screen.wrapped_output(message);
    demo.screen.blank_line();
    demo.screen.check(
        rejected && message.contains("it lacked users"),
        format!("the sync failed {} after the request: {reason}", format_duration(request.created.elapsed())),
        format!("acme is {}", seen["status"]),
    );
    let total = before["total"].as_u64().unwrap_or_default();
    demo.screen.check(
        seen["status"]["users"] == before && seen["status"]["held"].is_null(),
        format!("nobody was removed, and nobody is held: the list still has {} users", format_count(total)),
        format!("users before: {before}, now: {}", seen["status"]["users"]),
    );
    demo.screen.explain("Box is well again, and the request is retried:");
    demo.call_admin("DELETE", "1001/behaviours/walk-ends-early", "").await?;
    let took = demo.wait_for_condition(&request, "Complete", END_TIMEOUT).await?;
    demo.run("get boxconnection acme").await?;
    demo.screen.blank_line();
    demo.screen.check(
        took.is_some(),
        "the same request succeeded, without any change",
        format!("the request is {}", demo.get_request_status(&request).await?),
    );
    demo.check_user_counts("acme", &demo.demo_box.acme).await
}
