//! Decisions while disconnected, and about requests.

use super::*;

pub(super) fn disconnected_rows() -> Vec<DecisionRow> {
    vec![
        (
            "Nothing is scheduled while disconnected; the Secret is checked every minute",
            disconnected_case(60, 60),
            "check the Secret",
            "Secret check",
        ),
        ("Between two checks nothing is due", disconnected_case(20, 20), "wait until 12:00:40", "Secret check"),
        (
            "After 75 minutes the sign-in is retried every 15 minutes",
            disconnected_case(20, 900),
            "sync Reconnected",
            "reconnect interval",
        ),
        (
            "After 15 minutes it is retried every 5 minutes",
            new_connection()
                .synced_ago(600)
                .disconnected(Reason::AccessBlocked, 20)
                .with_view(|r| r.since_sign_in = Some(secs(300))),
            "sync Reconnected",
            "reconnect interval",
        ),
        (
            "In the first 15 minutes it is retried every minute",
            new_connection()
                .synced_ago(600)
                .disconnected(Reason::AccessBlocked, 2)
                .with_view(|r| r.since_sign_in = Some(secs(60))),
            "sync Reconnected",
            "reconnect interval",
        ),
        (
            "A process that has not tried to sign in does so at once",
            new_connection().synced_ago(600).disconnected(Reason::AccessBlocked, 90),
            "sync Reconnected",
            "reconnect interval",
        ),
        (
            "New content of the Secret is used at once",
            disconnected_case(5, 20).with_view(|r| r.secret_changed = true),
            "sync Reconnected",
            "Secret changed",
        ),
        (
            "A request triggers a sign-in at once",
            disconnected_case(20, 20).with_request("a"),
            "sync Reconnected for a",
            "request",
        ),
        (
            "A request that failed with a transient error is retried every minute",
            disconnected_case(20, 20).with_request("a").with_attempt(Reason::BoxUnavailable, 0),
            "wait until 12:00:40",
            "reconnect interval",
        ),
        (
            "A Retry-After is still honored",
            disconnected_case(20, 900).with_view(|r| {
                r.secret_changed = true;
                r.until_retry_allowed = secs(300);
            }),
            "wait until 12:00:40",
            "Secret check",
        ),
        (
            "A first sync that finds no Secret waits for one",
            new_connection().with_failure(Reason::CredentialsMissing, 1).with_view(|r| {
                r.since_secret_check = Some(secs(10));
                r.since_sign_in = Some(secs(10));
            }),
            "wait until 12:00:50",
            "reconnect interval",
        ),
    ]
}

pub(super) fn request_rows() -> Vec<DecisionRow> {
    vec![
        (
            "A request is answered at once",
            new_connection().synced_ago(10).with_request("a"),
            "sync Requested for a",
            "request",
        ),
        (
            "One sync answers all waiting requests",
            new_connection().synced_ago(10).with_request("a").with_request("b"),
            "sync Requested for a, b",
            "request",
        ),
        ("A first sync answers requests too", new_connection().with_request("a"), "sync Created for a", "first sync"),
        (
            "A changed annotation is a request",
            new_connection().synced_ago(10).annotated("x"),
            "sync Requested for the annotation",
            "annotation",
        ),
        (
            "A request overrides the backoff",
            new_connection().synced_ago(10).with_failure(Reason::BoxUnavailable, 0).with_request("a"),
            "sync Requested for a",
            "request",
        ),
        (
            "But only once",
            new_connection()
                .synced_ago(10)
                .with_failure(Reason::BoxUnavailable, 0)
                .with_request("a")
                .with_attempt(Reason::BoxUnavailable, 0),
            "wait until 12:00:24",
            "retry",
        ),
        (
            "A request does not override a Retry-After",
            new_connection().synced_ago(10).rate_limited(10).with_request("a"),
            "wait until 12:50:00",
            "Retry-After",
        ),
        (
            "Nor does the annotation",
            new_connection().synced_ago(10).rate_limited(10).annotated("x"),
            "wait until 12:50:00",
            "Retry-After",
        ),
        (
            "A request overrides a failure that needs a person",
            new_connection().synced_ago(2000).with_failure(Reason::PermissionDenied, 10).with_request("a"),
            "sync Requested for a",
            "request",
        ),
        (
            "A request waits for the gap",
            new_connection().synced_ago(0).with_request("a").with_view(|r| r.since_listing = Some(secs(5))),
            "wait until 12:00:10",
            "minimum gap",
        ),
        (
            "The 51st request is too many",
            with_requests(new_connection().synced_ago(10).rate_limited(10), 51),
            "wait until 12:50:00, refuse r50 TooManyRequests",
            "Retry-After",
        ),
        (
            "A request whose next attempt is past its deadline fails now",
            past_deadline("a"),
            "wait until 12:50:00, refuse a RateLimited",
            "Retry-After",
        ),
        (
            "A request that only waited for a permit does not expire",
            waited_without_attempt("a"),
            "sync Requested for a",
            "request",
        ),
        (
            "A request that was attempted and is past its deadline fails",
            attempted_past_deadline("a"),
            "sync Retry, refuse a BoxUnavailable",
            "retry",
        ),
    ]
}
