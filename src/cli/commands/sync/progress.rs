//! The progress and the result of a request as text. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::{
    api::{ConditionsExt, RequestPhase, UserSyncRequest, UserSyncRequestStatus},
    cli::output::format::{
        format_change_counts, format_duration, format_number, format_relative_time, format_time, pluralize,
    },
};

/// The first observed user count, to compute the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Throughput {
    pub(crate) start: Timestamp,
    pub(crate) users: i64,
}

impl Throughput {
    /// Users per second, once the count has grown.
    fn rate(&self, users: i64, now: Timestamp) -> Option<i64> {
        let seconds = self.start.duration_until(now).as_secs();
        (users > self.users && seconds > 0).then(|| (users - self.users) / seconds)
    }
}

/// The progress of a request, for a terminal.
pub(crate) fn progress_line(
    request: &UserSyncRequest,
    expected_users: Option<i64>,
    throughput: Option<&Throughput>,
    now: Timestamp,
    elapsed: SignedDuration,
) -> String {
    let mut parts = vec![request_state(request)];
    if let Some(progress) = request.status.as_ref().and_then(|s| s.progress) {
        let expected = expected_users.map(|n| format!(" of about {}", format_number(n))).unwrap_or_default();
        parts = vec![pluralize(progress.pages, "page"), format!("{}{expected} users", format_number(progress.users))];
        parts.extend(
            throughput
                .and_then(|p| p.rate(progress.users, now))
                .map(|rate| format!("{} per second", format_number(rate))),
        );
    }
    parts.push(format_duration(elapsed));
    parts.join(" · ")
}

/// The state of a request, without numbers that change all the time.
pub(crate) fn request_state(request: &UserSyncRequest) -> String {
    let Some(status) = &request.status else { return "created".to_owned() };
    match status.phase {
        RequestPhase::Pending => {
            let waits = status.conditions.find_condition("Reconciling");
            waits.map_or_else(|| "created".to_owned(), |c| format!("waiting ({}): {}", c.reason, c.message))
        }
        RequestPhase::Running => "running".to_owned(),
        RequestPhase::Other(word) => word.as_str().to_owned(),
        RequestPhase::Succeeded => "done".to_owned(),
        RequestPhase::Failed => failure_message(status),
    }
}

pub(crate) fn success_message(status: &UserSyncRequestStatus, next: Option<Timestamp>, now: Timestamp) -> String {
    let count = |n: Option<i64>| n.unwrap_or_default();
    let mut parts = vec![format_change_counts(count(status.added), count(status.updated), count(status.removed))];
    parts
        .extend(status.users.filter(|users| users.held > 0).map(|users| format!("{} held", format_number(users.held))));
    parts.extend(status.users.map(|users| pluralize(users.total, "user")));
    parts.extend(status.revision.map(|revision| format!("revision {revision}")));
    parts.extend(
        next.map(|next| format!("next automatic sync {} ({})", format_time(next), format_relative_time(next, now))),
    );
    parts.join(" · ")
}

pub(crate) fn failure_message(status: &UserSyncRequestStatus) -> String {
    let why = status.conditions.find_condition("Failed");
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
    fn a_running_request_shows_pages_users_rate_and_time() {
        let now: Timestamp = "2026-11-22T12:00:10Z".parse().expect("a time");
        let running = request(&json!({ "phase": "Running", "progress": { "pages": 12, "users": 12_000 } }));
        let throughput = Throughput { start: "2026-11-22T12:00:00Z".parse().expect("a time"), users: 2_000 };
        let elapsed = SignedDuration::from_secs(12);
        assert_eq!(
            progress_line(&running, Some(45_000), Some(&throughput), now, elapsed),
            "12 pages · 12,000 of about 45,000 users · 1,000 per second · 12s"
        );
        assert_eq!(progress_line(&running, None, None, now, elapsed), "12 pages · 12,000 users · 12s");
    }

    #[test]
    fn a_waiting_request_shows_its_reason() {
        let waiting = request(&json!({ "phase": "Pending", "conditions": [{ "type": "Reconciling", "status": "True",
            "reason": "CoolingDown", "message": "A sync ended a moment ago.", "lastTransitionTime": "2026-11-22T12:00:00Z" }] }));
        assert_eq!(request_state(&waiting), "waiting (CoolingDown): A sync ended a moment ago.");
        assert_eq!(request_state(&request(&json!({ "phase": "Pending", "observedGeneration": -1 }))), "created");
    }
}
