//! How far a request is, and how it ended. Pure.

use jiff::{SignedDuration, Timestamp};

use super::words::{away, changed, length, many, minute, number};
use crate::api::{Conditions, Phase, UserSyncRequest, UserSyncRequestStatus};

/// Where the count of users stood when it was first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) start: Timestamp,
    pub(super) users: i64,
}

impl Pace {
    /// Users a second, once there is something to tell.
    fn rate(&self, users: i64, now: Timestamp) -> Option<i64> {
        let seconds = self.start.duration_until(now).as_secs();
        (users > self.users && seconds > 0).then(|| (users - self.users) / seconds)
    }
}

/// A request under way, for somebody who watches.
pub(super) fn live(
    request: &UserSyncRequest,
    about: Option<i64>,
    pace: Option<&Pace>,
    now: Timestamp,
    elapsed: SignedDuration,
) -> String {
    let mut parts = vec![state(request)];
    if let Some(progress) = request.status.as_ref().and_then(|s| s.progress) {
        let of = about.map(|n| format!(" of about {}", number(n))).unwrap_or_default();
        parts = vec![many(progress.pages, "page"), format!("{}{of} users", number(progress.users))];
        parts.extend(pace.and_then(|p| p.rate(progress.users, now)).map(|rate| format!("{} a second", number(rate))));
    }
    parts.push(length(elapsed));
    parts.join(" · ")
}

/// A request under way, without what changes all the time.
pub(super) fn state(request: &UserSyncRequest) -> String {
    let Some(status) = &request.status else { return "created".to_owned() };
    match status.phase {
        Phase::Pending => {
            let waits = status.conditions.of("Reconciling");
            waits.map_or_else(|| "created".to_owned(), |c| format!("waiting ({}): {}", c.reason, c.message))
        }
        Phase::Running => "running".to_owned(),
        Phase::Succeeded => "done".to_owned(),
        Phase::Failed => failed(status),
    }
}

pub(super) fn succeeded(status: &UserSyncRequestStatus, next: Option<Timestamp>, now: Timestamp) -> String {
    let count = |n: Option<i64>| n.unwrap_or_default();
    let mut parts = vec![changed(count(status.added), count(status.updated), count(status.removed))];
    parts.extend(status.users.filter(|users| users.held > 0).map(|users| format!("{} held", number(users.held))));
    parts.extend(status.users.map(|users| many(users.total, "user")));
    parts.extend(status.revision.map(|revision| format!("revision {revision}")));
    parts.extend(next.map(|next| format!("next automatic sync {} ({})", minute(next), away(next, now))));
    parts.join(" · ")
}

pub(super) fn failed(status: &UserSyncRequestStatus) -> String {
    let why = status.conditions.of("Failed");
    why.map_or_else(|| "failed".to_owned(), |c| format!("failed ({}): {}", c.reason, c.message))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(status: &Value) -> UserSyncRequest {
        serde_json::from_value(json!({
            "apiVersion": "boxsync.dev/v1alpha1", "kind": "UserSyncRequest", "metadata": { "name": "acme-x" },
            "spec": { "connectionRef": { "name": "acme" } }, "status": status,
        }))
        .expect("a request")
    }

    #[test]
    fn a_running_request_tells_pages_users_pace_and_time() {
        let now: Timestamp = "2026-11-22T12:00:10Z".parse().expect("a time");
        let running = request(&json!({ "phase": "Running", "progress": { "pages": 12, "users": 12_000 } }));
        let pace = Pace { start: "2026-11-22T12:00:00Z".parse().expect("a time"), users: 2_000 };
        let elapsed = SignedDuration::from_secs(12);
        assert_eq!(
            live(&running, Some(45_000), Some(&pace), now, elapsed),
            "12 pages · 12,000 of about 45,000 users · 1,000 a second · 12s"
        );
        assert_eq!(live(&running, None, None, now, elapsed), "12 pages · 12,000 users · 12s");
    }

    #[test]
    fn a_waiting_request_says_what_for() {
        let waiting = request(&json!({ "phase": "Pending", "conditions": [{ "type": "Reconciling", "status": "True",
            "reason": "CoolingDown", "message": "A sync ended a moment ago.", "lastTransitionTime": "2026-11-22T12:00:00Z" }] }));
        assert_eq!(state(&waiting), "waiting (CoolingDown): A sync ended a moment ago.");
        assert_eq!(state(&request(&json!({ "phase": "Pending", "observedGeneration": -1 }))), "created");
    }
}
