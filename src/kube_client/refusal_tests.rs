//! Error responses as API servers, webhooks and proxies send them, and what they mean.

use std::time::Duration;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::core::Status;
use serde_json::{Value, json};

use super::error::{KubeError, Refusal, RefusedBy};

fn classified(body: Value) -> KubeError {
    let status: Status = serde_json::from_value(body).expect("a Status");
    kube::Error::Api(Box::new(status)).into()
}

fn status_error(code: u16, reason: &str, message: &str) -> KubeError {
    classified(json!({"status": "Failure", "code": code, "reason": reason, "message": message}))
}

#[track_caller]
fn assert_refused(error: &KubeError, by: &RefusedBy, sentence: &str) {
    let expected = Refusal { by: by.clone(), sentence: sentence.to_owned() };
    assert_eq!(error, &KubeError::Refused(expected));
}

const RIGHT: &str = r#"User "system:serviceaccount:boxsync:boxsync-operator" cannot create resource "userslices" in API group "boxsync.dev" in the namespace "backup""#;

#[test]
fn a_missing_right_is_known_by_the_sentence_of_the_authorizer() {
    let azure = format!("{RIGHT}: User does not have access to the resource in Azure.");
    for (message, right) in [
        (format!("userslices.boxsync.dev is forbidden: {RIGHT}"), RIGHT.to_owned()),
        (format!("userslices.boxsync.dev is forbidden: {azure}"), azure.trim_end_matches('.').to_owned()),
        // An object, a user and a namespace whose names are the words of others.
        (format!("userslices.boxsync.dev \"denied.the.request\" is forbidden: {RIGHT}"), RIGHT.to_owned()),
        (
            r#"secrets "exceeded-quota" is forbidden: User "denied request: " cannot get resource "secrets""#.to_owned(),
            r#"User "denied request: " cannot get resource "secrets""#.to_owned(),
        ),
        (
            r#"secrets is forbidden: User "admission webhook" cannot list resource "secrets" in API group "" in the namespace "because-it-is-being-terminated""#.to_owned(),
            r#"User "admission webhook" cannot list resource "secrets" in API group "" in the namespace "because-it-is-being-terminated""#.to_owned(),
        ),
        (r#"forbidden: User "jane" cannot get path "/metrics""#.to_owned(), r#"User "jane" cannot get path "/metrics""#.to_owned()),
        (
            r#"userrosters.boxsync.dev "acme" is forbidden: cannot set an ownerRef on a resource you can't delete: , <nil>"#.to_owned(),
            "cannot set an ownerRef on a resource you can't delete: , <nil>".to_owned(),
        ),
    ] {
        assert_eq!(status_error(403, "Forbidden", &message), KubeError::Forbidden(right), "{message}");
    }
}

#[test]
fn credentials_that_are_not_accepted_are_no_missing_right() {
    for error in [
        status_error(401, "Unauthorized", "Unauthorized"),
        status_error(
            403,
            "Forbidden",
            r#"secrets is forbidden: User "system:anonymous" cannot list resource "secrets""#,
        ),
        classified(json!({"status": "Failure", "reason": "Unauthorized", "message": "Unauthorized"})),
    ] {
        assert!(matches!(error, KubeError::Unauthenticated(_)) && error.denies_sender(), "{error:?}");
    }
}

#[test]
fn a_quota_refuses_in_its_own_words() {
    for words in [
        "exceeded quota: few-slices, requested: count/userslices.boxsync.dev=1, used: count/userslices.boxsync.dev=1, limited: count/userslices.boxsync.dev=1",
        "status unknown for quota: few-slices, resources: count/userslices.boxsync.dev",
        "failed quota: compute: must specify limits.cpu",
        "insufficient quota to match these scopes: [{PriorityClass In [high]}]",
    ] {
        let message = format!("userslices.boxsync.dev \"acme-0a\" is forbidden: {words}");
        assert_refused(&status_error(403, "Forbidden", &message), &RefusedBy::Quota, words);
    }
    let contended = "Operation cannot be fulfilled on resourcequotas \"few\": the object has been modified; please apply your changes to the latest version and try again";
    let error = status_error(409, "Conflict", contended);
    assert!(matches!(error, KubeError::TooManyRequests { .. }) && error.is_transient(), "{error:?}");
    let evaluated = status_error(500, "InternalError", "Internal error occurred: resource quota evaluation timed out");
    assert!(evaluated.is_transient(), "{evaluated:?}");
}

#[test]
fn a_webhook_is_named_whatever_code_it_chose() {
    let gatekeeper = "admission webhook \"validation.gatekeeper.sh\" denied the request: [must-have-owner] you must provide labels: {\"owner\"}";
    let kyverno = "admission webhook \"validate.kyverno.svc-fail\" denied the request: \n\nresource UserSlice/backup/acme-0a was blocked due to the following policies \n\nrequire-owner:\n  check-owner: 'validation error: label owner is required. rule check-owner failed at path /metadata/labels/owner/'\n";
    for code in [400, 401, 403, 404, 406, 409, 422, 429, 500, 503] {
        assert_refused(
            &status_error(code, "", gatekeeper),
            &RefusedBy::Webhook("validation.gatekeeper.sh".to_owned()),
            "[must-have-owner] you must provide labels: {\"owner\"}",
        );
        let error = status_error(code, "BadRequest", kyverno);
        assert_refused(
            &error,
            &RefusedBy::Webhook("validate.kyverno.svc-fail".to_owned()),
            "resource UserSlice/backup/acme-0a was blocked due to the following policies require-owner: check-owner: 'validation error: label owner is required. rule check-owner failed at path /metadata/labels/owner/'",
        );
        assert!(!error.is_unavailable() && !error.is_transient(), "{code}: a verdict");
    }
    assert_refused(
        &status_error(403, "Forbidden", "admission webhook \"x.y\" denied the request without explanation"),
        &RefusedBy::Webhook("x.y".to_owned()),
        "denied the request without explanation",
    );
    // A policy that quotes the authorizer stays a policy.
    let quoting = format!("admission webhook \"x.y\" denied the request: secrets is forbidden: {RIGHT}");
    assert_refused(
        &status_error(403, "Forbidden", &quoting),
        &RefusedBy::Webhook("x.y".to_owned()),
        &format!("secrets is forbidden: {RIGHT}"),
    );
}

#[test]
fn a_webhook_that_cannot_be_called_gives_no_verdict() {
    for why in [
        "failed to call webhook: Post \"https://kyverno-svc.kyverno.svc:443/validate/fail?timeout=10s\": context deadline exceeded",
        "failed to call webhook: Post \"https://127.0.0.1:1/\": dial tcp 127.0.0.1:1: connect: connection refused",
        "failed to call webhook: no endpoints available for service \"kyverno-svc\"",
    ] {
        let message = format!("failed calling webhook \"validate.kyverno.svc-fail\": {why}");
        let body = json!({
            "status": "Failure", "code": 500, "reason": "InternalError",
            "message": format!("Internal error occurred: {message}"), "details": {"causes": [{"message": message}]},
        });
        let error = classified(body);
        assert_refused(&error, &RefusedBy::UnavailableWebhook("validate.kyverno.svc-fail".to_owned()), why);
        assert!(error.is_unavailable() && !error.is_transient());
    }
}

#[test]
fn a_policy_is_named_whatever_reason_it_chose() {
    for (code, reason) in [(422, "Invalid"), (403, "Forbidden"), (401, "Unauthorized"), (413, "RequestEntityTooLarge")]
    {
        let words = "you must provide the label owner";
        let message = format!(
            "userslices.boxsync.dev \"acme-0a\" is forbidden: ValidatingAdmissionPolicy 'must-have-owner' with binding 'must-have-owner' denied request: {words}"
        );
        let body = json!({
            "status": "Failure", "code": code, "reason": reason, "message": message,
            "details": {"name": "acme-0a", "group": "boxsync.dev", "kind": "userslices", "causes": [{"message": message}]},
        });
        assert_refused(&classified(body), &RefusedBy::Policy("must-have-owner".to_owned()), words);
    }
}

#[test]
fn other_admission_is_no_missing_right() {
    for words in [
        "violates PodSecurity \"restricted:latest\": privileged (container \"x\" must not set securityContext.privileged=true)",
        "[maximum cpu usage per Container is 1, but limit is 2]",
        "annotation \"x\" is not allowed",
    ] {
        let message = format!("userslices.boxsync.dev \"acme-0a\" is forbidden: {words}");
        assert_refused(&status_error(403, "Forbidden", &message), &RefusedBy::Admission, words);
    }
    assert_refused(
        &status_error(403, "", "request denied by the policy server"),
        &RefusedBy::Admission,
        "request denied by the policy server",
    );
}

#[test]
fn a_namespace_that_ends_or_is_missing_is_told() {
    let words = "unable to create new content in namespace backup because it is being terminated";
    let message = format!("userslices.boxsync.dev \"acme-0a\" is forbidden: {words}");
    let cause = json!({"reason": "NamespaceTerminating", "message": "namespace backup is being terminated", "field": "metadata.namespace"});
    let body = json!({
        "status": "Failure", "code": 403, "reason": "Forbidden", "message": message,
        "details": {"name": "acme-0a", "group": "boxsync.dev", "kind": "userslices", "causes": [cause]},
    });
    assert_refused(&classified(body), &RefusedBy::TerminatingNamespace, words);
    assert_refused(&status_error(403, "Forbidden", &message), &RefusedBy::TerminatingNamespace, words);
    let missing = json!({
        "status": "Failure", "code": 404, "reason": "NotFound", "message": "namespaces \"backup\" not found",
        "details": {"name": "backup", "kind": "namespaces"},
    });
    assert_refused(&classified(missing), &RefusedBy::MissingNamespace, "namespaces \"backup\" not found");
}

#[test]
fn a_missing_object_and_an_unserved_kind_differ() {
    let body = json!({
        "status": "Failure", "code": 404, "reason": "NotFound", "message": "userrosters.boxsync.dev \"acme\" not found",
        "details": {"name": "acme", "group": "boxsync.dev", "kind": "userrosters"},
    });
    assert_eq!(classified(body), KubeError::NotFound);
    assert_eq!(
        status_error(404, "NotFound", "the server could not find the requested resource"),
        KubeError::UnknownKind
    );
    assert_eq!(status_error(404, "Failed to parse error data", "404 page not found"), KubeError::UnknownKind);
    let proxy = status_error(404, "Failed to parse error data", "<html>\n<head><title>404 Not Found</title>");
    assert!(matches!(&proxy, KubeError::Rejected { code: 404, message } if message.contains("proxy")), "{proxy:?}");
    assert!(matches!(status_error(403, "Failed to parse error data", "<html>"), KubeError::Rejected { code: 403, .. }));
}

#[test]
fn an_invalid_object_is_told_by_its_fields_without_their_values() {
    let causes = json!([
        {"reason": "FieldValueInvalid", "message": "Invalid value: \"jane.doe@acme.com says \\\"x: y\\\"\": must be shorter", "field": "spec.data"},
        {"reason": "FieldValueInvalid", "message": "Invalid value: {\"name\":\"Jane\"}: one of a and b", "field": "spec"},
        {"reason": "FieldValueTypeInvalid", "message": "Invalid value: 7: must be a string", "field": "spec.a"},
        {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.b"},
        {"reason": "FieldValueNotSupported", "message": "Unsupported value: \"Jane\": supported values: \"Live\", \"Removed\"", "field": "state"},
        {"reason": "FieldValueInvalid", "message": "Invalid value: \"Jane", "field": "c"},
    ]);
    let body = json!({
        "status": "Failure", "code": 422, "reason": "Invalid", "message": "UserSlice.boxsync.dev \"x\" is invalid: [...]",
        "details": {"name": "x", "group": "boxsync.dev", "kind": "UserSlice", "causes": causes},
    });
    assert_refused(
        &classified(body),
        &RefusedBy::Validation,
        "spec.data: must be shorter; spec: one of a and b; spec.a: must be a string; spec.b: Required value; state: supported values: \"Live\", \"Removed\"; and 1 more",
    );
    let uncaused = status_error(422, "Invalid", "UserSlice \"x\" is invalid: data: Invalid value: \"Jane Doe\": no");
    assert_refused(&uncaused, &RefusedBy::Validation, "data: Invalid value");
}

#[test]
fn an_object_that_is_too_large_is_known_by_each_answer() {
    for (code, message) in [
        (413, "Request entity too large: limit is 3145728"),
        (500, "etcdserver: request is too large"),
        (500, "rpc error: code = ResourceExhausted desc = trying to send message larger than max (2 vs. 1)"),
    ] {
        let error = status_error(code, "", message);
        assert_refused(&error, &RefusedBy::SizeLimit, message);
        assert!(!error.is_unavailable(), "{code} {message}");
    }
}

#[test]
fn what_passes_by_itself_is_transient() {
    for (code, reason, message) in [
        (503, "ServiceUnavailable", "The server is currently unable to handle the request"),
        (504, "Timeout", "Timeout: request did not complete within requested timeout - context deadline exceeded"),
        (500, "InternalError", "etcdserver: leader changed"),
        (500, "InternalError", "Internal error occurred: etcdserver: request timed out"),
        (500, "ServerTimeout", "The list operation could not be completed at this time, please try again."),
        (410, "Expired", "The provided continue parameter is too old to display a consistent list result."),
        (502, "Failed to parse error data", "<html>Bad Gateway"),
    ] {
        let error = status_error(code, reason, message);
        assert!(error.is_transient() && error.is_unavailable(), "{code} {message}: {error:?}");
    }
    let lasting = status_error(500, "InternalError", "Internal error occurred: decryption failed");
    assert!(!lasting.is_transient() && lasting.is_unavailable(), "{lasting:?}");
    let throttled = classified(json!({
        "status": "Failure", "code": 429, "reason": "TooManyRequests", "message": "Cannot evict pod as it would violate the pod's disruption budget.",
        "details": {"retryAfterSeconds": 3},
    }));
    assert_eq!(throttled.retry_pause(Duration::ZERO), Duration::from_secs(3));
}

#[test]
fn the_text_of_an_error_is_bounded_and_printable() {
    let hostile = "\u{1b}[2Jü\u{202e}".repeat(100_000);
    for (code, message) in [
        (401, hostile.clone()),
        (403, format!("x is forbidden: User \"{hostile}\" cannot do")),
        (403, format!("x is forbidden: {hostile}")),
        (422, hostile.clone()),
        (500, hostile.clone()),
        (400, format!("admission webhook \"{hostile}\" denied the request: {hostile}")),
    ] {
        let text = status_error(code, "", &message).to_string();
        let clean = !text.chars().any(|c| c.is_control() || c == '\u{202e}');
        assert!(text.chars().count() < 2_400 && clean, "{code}: {} characters", text.len());
    }
}

#[test]
fn a_text_that_repeats_content_of_a_secret_is_left_out() {
    let secret = Secret {
        data: Some([("refreshToken".to_owned(), ByteString(b"kYd7-refresh-token".to_vec()))].into()),
        ..Secret::default()
    };
    let base64 = serde_json::to_value(&secret).expect("JSON")["data"]["refreshToken"].to_string();
    for (quoted, hidden) in [("kYd7-refresh-token", true), (base64.as_str(), true), ("refreshToken", false)] {
        let message = format!("admission webhook \"x.y\" denied the request: no {quoted} here");
        let error = status_error(403, "Forbidden", &message).without_values_of(&secret);
        assert_eq!(error.to_string().contains("is not shown"), hidden, "{error}");
        assert_eq!(error.to_string().contains(quoted), !hidden, "{error}");
    }
}
