//! Requests that nobody should send get a Status that says why, and never end a test by a panic of the server.

use crate::fixture::{Fixture, api_error, send};
use kube::api::{Patch, PatchParams};
use serde_json::json;

const WIDGETS_PATH: &str = "/apis/example.dev/v1/namespaces/a/widgets";

#[tokio::test(start_paused = true)]
async fn an_invalid_request_gets_a_status_that_names_the_problem() {
    let fixture = Fixture::new();
    fixture.create_widget("w");
    let one = format!("{WIDGETS_PATH}/w");
    let rows = [
        ("GET", "/nonsense".into(), "", 404, "/nonsense"),
        ("GET", "/".into(), "", 404, "nothing at /"),
        ("GET", "/apis/example.dev/v1/gadgets".into(), "", 404, "gadgets"),
        ("GET", "/apis/example.dev/v2/widgets".into(), "", 404, "v2"),
        ("GET", "/apis/example.dev/v1/widgets/w".into(), "", 404, "widgets/w"),
        ("GET", format!("{one}/scale"), "", 404, "scale"),
        ("PUT", format!("{one}/status"), "7", 400, "not a JSON object"),
        ("DELETE", format!("{one}/status"), "", 405, "DELETE"),
        ("DELETE", WIDGETS_PATH.into(), "", 405, "DELETE"),
        ("POST", one.clone(), "{}", 405, "POST"),
        ("POST", "/apis/example.dev/v1/widgets".into(), "{}", 405, "POST"),
        ("TRACE", one.clone(), "", 405, "TRACE"),
        ("POST", WIDGETS_PATH.into(), "{", 400, "no JSON"),
        ("POST", WIDGETS_PATH.into(), "[]", 400, "not a JSON object"),
        ("POST", WIDGETS_PATH.into(), r#"{"metadata": 1}"#, 400, "metadata"),
        ("POST", WIDGETS_PATH.into(), "{}", 400, "Object 'kind' is missing"),
        ("POST", WIDGETS_PATH.into(), r#"{"kind":"Widget","apiVersion":"example.dev/v1"}"#, 422, "metadata.name"),
        (
            "POST",
            WIDGETS_PATH.into(),
            r#"{"kind":"Widget","apiVersion":"example.dev/v1","metadata":{"name":"A_b"}}"#,
            422,
            "RFC 1123",
        ),
        (
            "POST",
            WIDGETS_PATH.into(),
            r#"{"kind":"Widget","apiVersion":"example.dev/v1","metadata":{"name":"x","namespace":"b"}}"#,
            400,
            "namespace",
        ),
        (
            "PUT",
            one.clone(),
            r#"{"kind":"Widget","apiVersion":"example.dev/v1","metadata":{"name":"x"}}"#,
            400,
            "the name of the object (x)",
        ),
        ("POST", format!("{WIDGETS_PATH}?dryRun=All"), "{}", 400, "dryRun"),
        ("GET", format!("{WIDGETS_PATH}?continue=abc"), "", 400, "continue"),
        ("GET", format!("{WIDGETS_PATH}?labelSelector=a+in+(b)"), "", 400, "set-based"),
        ("GET", format!("{WIDGETS_PATH}?watch=1&sendInitialEvents=true"), "", 400, "sendInitialEvents"),
        ("GET", format!("{WIDGETS_PATH}?watch=1&resourceVersion=abc"), "", 400, "resourceVersion"),
        ("DELETE", one.clone(), r#"{"propagationPolicy":"Orphan"}"#, 400, "propagationPolicy=Orphan"),
    ];
    for (method, path, body, code, words) in rows {
        let (found, status) = fixture.send(method, &path, body).await;
        let message = status["message"].as_str().unwrap_or_default();
        assert_eq!(found, code, "{method} {path} {body}: {status}");
        assert_eq!(status["kind"], "Status", "{method} {path}");
        assert!(message.contains(words), "{method} {path}: {message}");
    }
    assert!(fixture.sim.get("Widget", "a", "w").is_some(), "and nothing was done");
}

#[tokio::test(start_paused = true)]
async fn patches_other_than_merge_patches_are_refused() {
    let fixture = Fixture::new();
    fixture.create_widget("w");
    let apply = PatchParams::apply("test").force();
    let patch = json!({"apiVersion": "example.dev/v1", "kind": "Widget", "spec": {"size": 1}});
    let result = fixture.api().patch("w", &apply, &Patch::Apply(&patch)).await;
    assert_eq!(api_error(result), (415, "UnsupportedMediaType".into()));
}

#[tokio::test(start_paused = true)]
async fn a_patch_cannot_corrupt_the_metadata() {
    let fixture = Fixture::new();
    fixture.create_widget("w");
    let client = fixture.sim.client();
    let patches = [
        ("7", 400),
        (r#"{"metadata":"x"}"#, 400),
        (r#"{"metadata":{"labels":7}}"#, 400),
        (r#"{"metadata":{"finalizers":{}}}"#, 400),
        (r#"{"metadata":{"resourceVersion":5}}"#, 400),
        (r#"{"metadata":null}"#, 422),
        (r#"{"spec":null,"status":[]}"#, 422),
        (r#"{"status":[]}"#, 200),
    ];
    for (patch, expected) in patches {
        let (code, body) =
            send(&client, "PATCH", &format!("{WIDGETS_PATH}/w"), patch, "application/merge-patch+json").await;
        assert_eq!(code, expected, "{patch}: {body}");
    }
    fixture.get_widget("w");
}
