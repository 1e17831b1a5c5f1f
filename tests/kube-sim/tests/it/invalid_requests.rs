//! Invalid requests get a Status that names the problem, and never make the server panic.

use crate::{
    fixture::{Fixture, api_error, send},
    servers::{TestServer, conformance_tests},
};
use kube::api::{Patch, PatchParams};
use serde_json::json;

conformance_tests!(an_invalid_request_gets_the_api_servers_code, a_patch_cannot_corrupt_the_metadata);

const WIDGETS_PATH: &str = "/apis/example.dev/v1/namespaces/a/widgets";

#[tokio::test(start_paused = true)]
async fn an_invalid_request_gets_a_status_that_names_the_problem() {
    let fixture = Fixture::new();
    fixture.create_widget("w");
    let one = format!("{WIDGETS_PATH}/w");
    let rows = [
        ("GET", "/unknown".into(), "", 404, "/unknown"),
        ("GET", "/".into(), "", 404, "no resource at /"),
        ("GET", "/apis/example.dev/v1/gadgets".into(), "", 404, "gadgets"),
        ("GET", "/apis/example.dev/v2/widgets".into(), "", 404, "v2"),
        ("GET", "/apis/example.dev/v1/widgets/w".into(), "", 404, "widgets/w"),
        ("GET", format!("{one}/scale"), "", 404, "scale"),
        ("PUT", format!("{one}/status"), "7", 400, "not a JSON object"),
        ("DELETE", format!("{one}/status"), "", 405, "DELETE"),
        ("DELETE", WIDGETS_PATH.into(), "", 405, "DELETE"),
        ("POST", one.clone(), "{}", 405, "POST"),
        ("POST", "/apis/example.dev/v1/widgets".into(), "{}", 404, "widgets"),
        ("TRACE", one.clone(), "", 405, "TRACE"),
        ("POST", WIDGETS_PATH.into(), "{", 400, "not valid JSON"),
        ("POST", WIDGETS_PATH.into(), "[]", 400, "not a JSON object"),
        ("POST", WIDGETS_PATH.into(), r#"{"metadata": 1}"#, 400, "metadata"),
        ("POST", WIDGETS_PATH.into(), "{}", 400, "Object 'Kind' is missing"),
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
        ("GET", format!("{WIDGETS_PATH}?watch=1&resourceVersion=abc"), "", 500, "resourceVersion"),
        ("DELETE", one.clone(), r#"{"propagationPolicy":"Orphan"}"#, 400, "propagationPolicy=Orphan"),
    ];
    for (method, path, body, code, words) in rows {
        let (found, status) = fixture.send(method, &path, body).await;
        let message = status["message"].as_str().unwrap_or_default();
        assert_eq!(found, code, "{method} {path} {body}: {status}");
        assert_eq!(status["kind"], "Status", "{method} {path}");
        assert!(message.contains(words), "{method} {path}: {message}");
    }
    assert!(fixture.sim.get("Widget", "a", "w").is_some(), "nothing was deleted");
}

#[tokio::test(start_paused = true)]
async fn patches_other_than_merge_patches_are_rejected() {
    let fixture = Fixture::new();
    fixture.create_widget("w");
    let apply = PatchParams::apply("test").force();
    let patch = json!({"apiVersion": "example.dev/v1", "kind": "Widget", "spec": {"size": 1}});
    let result = fixture.api().patch("w", &apply, &Patch::Apply(&patch)).await;
    assert_eq!(api_error(result), (415, "UnsupportedMediaType".into()));
}

/// The codes of both servers; the words are kube-sim's own where it does not know the words of the real one.
async fn an_invalid_request_gets_the_api_servers_code(server: TestServer) {
    server.create_widget("w").await;
    let widgets = server.widgets_path();
    let one = format!("{widgets}/w");
    let object = |metadata: &str| {
        format!(r#"{{"kind":"Widget","apiVersion":"example.dev/v1","metadata":{metadata},"spec":{{"size":1}}}}"#)
    };
    let rows = [
        ("GET", "/apis/example.dev/v1/gadgets".into(), String::new(), 404, ""),
        ("GET", "/apis/example.dev/v2/widgets".into(), String::new(), 404, ""),
        ("GET", "/apis/example.dev/v1/widgets/w".into(), String::new(), 404, ""),
        ("GET", format!("{one}/scale"), String::new(), 404, ""),
        ("GET", format!("{widgets}/x"), String::new(), 404, "widgets.example.dev \"x\" not found"),
        ("PUT", format!("{one}/status"), "7".into(), 400, ""),
        ("DELETE", format!("{one}/status"), String::new(), 405, ""),
        ("TRACE", one.clone(), String::new(), 405, ""),
        ("POST", "/apis/example.dev/v1/widgets".into(), object(r#"{"name":"x"}"#), 404, ""),
        ("POST", widgets.clone(), "{".into(), 400, ""),
        ("POST", widgets.clone(), "[]".into(), 400, ""),
        ("POST", widgets.clone(), r#"{"metadata": 1}"#.into(), 400, ""),
        ("POST", widgets.clone(), "{}".into(), 400, "Object 'Kind' is missing"),
        ("POST", widgets.clone(), object("{}"), 422, "name or generateName is required"),
        ("POST", widgets.clone(), object(r#"{"name":"A_b"}"#), 422, "RFC 1123"),
        ("POST", widgets.clone(), object(r#"{"name":"x","namespace":"another"}"#), 400, "namespace"),
        (
            "POST",
            widgets.clone(),
            object(r#"{"name":"x","resourceVersion":"1"}"#),
            500,
            "resourceVersion should not be set",
        ),
        ("PUT", one.clone(), object(r#"{"name":"x"}"#), 400, "the name of the object (x)"),
        ("PUT", one.clone(), r#"{"kind":"Gadget","apiVersion":"example.dev/v1"}"#.into(), 400, ""),
        ("GET", format!("{widgets}?watch=1&resourceVersion=abc"), String::new(), 500, "resourceVersion: Invalid value"),
        (
            "GET",
            format!("{widgets}?fieldSelector=spec.size%3D1"),
            String::new(),
            400,
            "field label not supported: spec.size",
        ),
    ];
    let mut mismatches = Vec::new();
    for (method, path, body, code, words) in rows {
        let (found, status) = server.send(method, &path, &body).await;
        let message = status["message"].as_str().unwrap_or_default();
        if found != code || !message.contains(words) {
            mismatches.push(format!("{method} {path} {body}: {code} {words:?}, found {found} {status}"));
        }
    }
    assert!(mismatches.is_empty(), "{}", mismatches.join("\n"));
    let names: Vec<_> = server.widgets().list(&Default::default()).await.unwrap().into_iter().collect();
    assert_eq!(names.len(), 1, "nothing was written");
}

async fn a_patch_cannot_corrupt_the_metadata(server: TestServer) {
    server.create_widget("w").await;
    let patches = [
        ("7", 400),
        (r#"{"metadata":"x"}"#, 422),
        (r#"{"metadata":{"labels":7}}"#, 422),
        (r#"{"metadata":{"finalizers":{}}}"#, 422),
        (r#"{"metadata":{"resourceVersion":5}}"#, 422),
        (r#"{"metadata":null}"#, 400),
        (r#"{"spec":null,"status":[]}"#, 422),
        (r#"{"status":[]}"#, 200),
    ];
    let mut mismatches = Vec::new();
    for (patch, code) in patches {
        let path = format!("{}/w", server.widgets_path());
        let (found, body) = send(&server.client, "PATCH", &path, patch, "application/merge-patch+json").await;
        if found != code {
            mismatches.push(format!("{patch}: {code}, found {found} {body}"));
        }
    }
    assert!(mismatches.is_empty(), "{}", mismatches.join("\n"));
    server.widgets().get("w").await.unwrap();
}
