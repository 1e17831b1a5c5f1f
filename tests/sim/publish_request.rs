//! Publishes a list without an operator and without Box. The tests of the plugin use it too.

use std::time::Duration;

use boxsync::{
    api::{RosterChange, Trigger},
    roster::{self, Fence, PublishRequest, PublishResult, PublishStep, RemovalAnswers, Store, Undecided},
    user_list::{UserList, UserStanding},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The enterprise of the list.
pub(crate) const ENTERPRISE: &str = "1001";

/// A scheduled sync's request, with the defaults of a connection and nothing approved.
pub(crate) fn scheduled_publish(owner_uid: &str, start: Timestamp) -> PublishRequest<'_> {
    PublishRequest {
        owner_uid,
        enterprise_id: ENTERPRISE,
        retention: Some(Duration::from_secs(720 * 3600)),
        max_removal_percent: 20,
        approved_digest: None,
        last_published: None,
        base: None,
        fence: Fence::Written,
        unavailable_timeout: Duration::from_secs(300),
        change: RosterChange {
            trigger: Trigger::Scheduled,
            start_time: Time(start),
            added: 0,
            updated: 0,
            removed: 0,
            calls: 1,
            requests: Vec::new(),
            requested_at: None,
            requested_by: Vec::new(),
            approved: None,
            mass_changes: Vec::new(),
        },
    }
}

/// Publishes a list, where Box would say of everybody who is missing that they are gone, and would list the same users
/// again.
pub(crate) async fn publish_confirmed(
    store: &Store,
    request: &PublishRequest<'_>,
    list: &UserList,
    now: impl Fn() -> Timestamp,
) -> Result<PublishResult, roster::Error> {
    let mut answers = RemovalAnswers::default();
    loop {
        match Box::pin(roster::publish_list(store, request, list, &answers, &now)).await? {
            PublishStep::Published(published) => return Ok(*published),
            PublishStep::Undecided(Undecided::AskAbout(ids)) => {
                ids.into_iter().for_each(|id| answers.insert(id, UserStanding::Gone));
            }
            PublishStep::Undecided(_) => answers.keep_for_next_list(list),
        }
    }
}
