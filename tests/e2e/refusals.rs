//! What the real API server refuses: a quota, policies that demand labels, webhooks that answer as Gatekeeper and Kyverno
//! do, and a namespace that is being deleted. Condition and terminal have its sentence and advice for the cause.

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Json, Router, routing::post};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use harness::{eventually, wait_for_object};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    conditions::{connection_conditions, expect_condition},
    env::{E2eEnv, LONG_TIMEOUT, SHORT_TIMEOUT, create_acme, repo_path},
    like_kubectl::network::Endpoint,
};

const CERTIFICATES: &str = "tests/e2e/like_kubectl/certificates";
const CLUSTER_ERROR: i32 = 8;

/// A text without quotation marks and line breaks: the plugin wraps its lines, and a condition quotes the API server.
fn plain(text: &str) -> String {
    text.replace(['"', '\''], "").split_whitespace().collect::<Vec<_>>().join(" ")
}

impl E2eEnv {
    /// Waits until the condition Synced of `acme` is false and its message contains these words.
    async fn wait_until_refused(&self, words: &[&str]) {
        let told = |connection: &boxsync::api::BoxConnection| {
            let conditions = connection_conditions(connection);
            conditions.iter().any(|c| {
                c.type_ == "Synced"
                    && c.status == "False"
                    && words.iter().all(|words| plain(&c.message).contains(&plain(words)))
            })
        };
        let what = format!("Synced says {words:?}");
        let connection = wait_for_object(&self.connections_api(), "acme", &what, LONG_TIMEOUT, told).await;
        let (_, reason, message) = expect_condition(connection_conditions(&connection), "Synced");
        assert_eq!(reason, "Internal");
        assert!(!message.contains("not allowed") && !message.contains("RoleBinding"), "{message}");
    }

    /// Runs `kubectl boxsync sync acme`, which the API server must refuse; returns what it prints.
    async fn refused_sync(&self) -> String {
        let output = self.plugin().run(["sync", "acme"]).await.expect("the plugin");
        let printed = format!("{}{}", output.stdout, output.stderr);
        assert_eq!(output.status.code(), Some(CLUSTER_ERROR), "{printed}");
        for wrong in ["not allowed", "credentials", "permission"] {
            assert!(!printed.contains(wrong), "{printed}");
        }
        plain(&printed)
    }

    async fn request_by_annotation(&self, value: &str) {
        let annotation = format!("boxsync.dev/requested-at={value}");
        self.run(&["annotate", "--overwrite", "boxconn", "acme", &annotation]).await;
    }

    /// Selects this namespace.
    fn namespace_selector(&self) -> Value {
        json!({"matchLabels": {"kubernetes.io/metadata.name": self.namespace}})
    }
}

#[tokio::test]
async fn a_quota_is_told_in_its_own_words_and_the_list_comes_once_it_is_raised() {
    let env = E2eEnv::new("refused by quota").await;
    let hard = ["count/userslices.boxsync.dev=1", "count/usersyncrequests.boxsync.dev=0"];
    env.run(&["create", "quota", "few", &format!("--hard={}", hard.join(","))]).await;
    eventually("the quota counts", SHORT_TIMEOUT, async || {
        let used = env.get_json(&["quota", "few"]).await["status"]["used"].clone();
        if used.is_object() { Ok(()) } else { Err(used.to_string()) }
    })
    .await;
    let acme = create_acme(&env.sim);
    let operator = env.start_operator();
    env.connect_by_client_credentials("acme", &acme).await;
    let sentence = "exceeded quota: few, requested: count/userslices.boxsync.dev=1, used: count/userslices.boxsync.dev=1, limited: count/userslices.boxsync.dev=1";
    env.wait_until_refused(&[sentence, "A cluster admin must raise it"]).await;
    assert!(env.wait_for_event("BoxConnection", "acme", "Warning", "Internal").await.contains("exceeded quota: few"));
    let printed = env.refused_sync().await;
    assert!(
        printed.contains("a quota does not allow to create usersyncrequests")
            && printed.contains("exceeded quota: few"),
        "{printed}"
    );
    env.run(&["delete", "quota", "few"]).await;
    eventually("a request is accepted", SHORT_TIMEOUT, async || {
        let output = env.plugin().run(["sync", "acme"]).await.expect("the plugin");
        if output.status.success() { Ok(()) } else { Err(output.stderr) }
    })
    .await;
    env.wait_until_ready("acme").await;
    env.stop_and_verify(operator).await;
}

#[tokio::test]
async fn a_policy_that_demands_a_label_is_told_and_object_labels_satisfy_it() {
    let env = E2eEnv::new("refused by policy").await;
    let name = format!("owner-{}", env.namespace);
    let resources = ["userslices", "userrosters", "usersyncrequests"];
    let policy = |reason: Option<&str>| {
        let mut validation = json!({
            "expression": "'owner' in object.metadata.?labels.orValue({})", "message": "you must provide the label owner",
        });
        if let Some(reason) = reason {
            validation["reason"] = reason.into();
        }
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {
                    "namespaceSelector": env.namespace_selector(),
                    "resourceRules": [{"apiGroups": ["boxsync.dev"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": resources}],
                },
                "validations": [validation],
            },
        })
        .to_string()
    };
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    });
    env.apply_manifest(&policy(None)).await;
    env.apply_manifest(&binding.to_string()).await;
    let acme = create_acme(&env.sim);
    env.apply_client_secret("acme", &acme).await;
    let connection = crate::manifests::connection_yaml("acme", acme.id(), "clientCredentials", "  suspend: true\n");
    env.apply_manifest(&connection).await;
    let denied = format!("denied by the admission policy {name}: you must provide the label owner.");
    let plugin_is_denied = async || {
        let output = env.plugin().run(["sync", "acme"]).await.expect("the plugin");
        if plain(&output.stderr).contains(&plain(&denied)) { Ok(()) } else { Err(output.stderr) }
    };
    eventually("the policy is enforced", SHORT_TIMEOUT, plugin_is_denied).await;
    env.refused_sync().await;
    let mut operator = env.start_operator();
    env.run(&["patch", "boxconn", "acme", "--type=merge", "-p", r#"{"spec":{"suspend":false}}"#]).await;
    let told = format!("Admission policy {name} denied the list: you must provide the label owner.");
    env.wait_until_refused(&[&told, "chart value objectLabels, --object-labels"]).await;
    // The same as 403.
    env.apply_manifest(&policy(Some("Forbidden"))).await;
    env.refused_sync().await;
    operator.terminate(SHORT_TIMEOUT).await.expect("exits");
    let settings = env.operator_settings().flag("--object-labels", "owner=identity,example.com/cost-centre=42");
    let operator = env.start_operator_with(&settings.flag("--object-annotations", r"note=a\, b"));
    env.request_by_annotation("now").await;
    env.wait_until_ready("acme").await;
    for kind in ["userrosters", "userslices"] {
        let all = env.get_json(&[kind]).await["items"].as_array().cloned().unwrap_or_default();
        assert!(!all.is_empty(), "{kind}");
        for object in all {
            let metadata = &object["metadata"];
            assert_eq!(metadata["labels"]["owner"], "identity", "{metadata}");
            assert_eq!(metadata["labels"]["example.com/cost-centre"], "42", "{metadata}");
            assert_eq!(metadata["annotations"]["note"], "a, b", "{metadata}");
            assert_eq!(metadata["labels"]["boxsync.dev/connection"], "acme", "{metadata}");
        }
    }
    env.run(&["delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", &name]).await;
    env.stop_and_verify(operator).await;
}

/// The answer of the webhook: its code and its message; `None`: it allows everything.
type Answer = Arc<Mutex<Option<(u16, &'static str)>>>;

/// Serves an admission webhook behind TLS; returns its URL.
async fn serve_webhook(answer: Answer) -> String {
    let respond = move |Json(review): Json<Value>| {
        let denial = *answer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut response = json!({"uid": review["request"]["uid"], "allowed": denial.is_none()});
        if let Some((code, message)) = denial {
            response["status"] = json!({"code": code, "message": message});
        }
        async move { Json(json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})) }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let plain = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", post(respond))).await });
    let identity = fs::read(repo_path(CERTIFICATES).join("p256.pem")).expect("a file");
    format!("https://{}/", Endpoint::tls_in_front_of(plain, &identity).await.address)
}

#[tokio::test]
async fn webhooks_are_told_by_name_in_their_words_whatever_code_they_choose() {
    let (env, acme, operator) = E2eEnv::with_ready_acme("refused by webhook").await;
    let answer = Answer::default();
    let url = serve_webhook(answer.clone()).await;
    let (name, ca) =
        ("check.policies.example.com", fs::read(repo_path(CERTIFICATES).join("ca-p256.crt")).expect("a file"));
    let configuration = format!("refusals-{}", env.namespace);
    let webhook = |url: &str| {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": configuration},
            "webhooks": [{
                "name": name, "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 5,
                "namespaceSelector": env.namespace_selector(), "clientConfig": {"url": url, "caBundle": STANDARD.encode(&ca)},
                "rules": [{"apiGroups": ["boxsync.dev"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["userslices", "usersyncrequests"]}],
            }],
        })
        .to_string()
    };
    env.apply_manifest(&webhook(&url)).await;
    let gatekeeper = (403, "[must-have-owner] you must provide labels: {\"owner\"}");
    let kyverno = (
        400,
        "\n\nresource was blocked due to the following policies \n\nweekend:\n  no-changes: 'validation error: not on weekends'\n",
    );
    for (round, (denial, words, advice)) in [
        (gatekeeper, "[must-have-owner] you must provide labels: {\"owner\"}.", "--object-labels"),
        (
            kyverno,
            "resource was blocked due to the following policies weekend: no-changes: 'validation error: not on weekends'.",
            "except the operator's ServiceAccount",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        *answer.lock().expect("not poisoned") = Some(denial);
        let denied = format!("denied by the admission webhook {name}: {words}");
        eventually("the webhook is asked", SHORT_TIMEOUT, async || {
            let output = env.plugin().run(["sync", "acme"]).await.expect("the plugin");
            if plain(&output.stderr).contains(&plain(&denied)) { Ok(()) } else { Err(output.stderr) }
        })
        .await;
        env.refused_sync().await;
        acme.add_user(&format!("Jane {round}"), &format!("jane.{round}@acme.com"));
        env.request_by_annotation(&round.to_string()).await;
        env.wait_until_refused(&[&format!("Admission webhook {name} denied the list: {words}"), advice]).await;
    }
    *answer.lock().expect("not poisoned") = None;
    // A port at which nobody listens.
    env.apply_manifest(&webhook("https://127.0.0.1:1/")).await;
    let unreachable = format!("the admission webhook {name} could not be called");
    eventually("the webhook cannot be called", SHORT_TIMEOUT, async || {
        let output = env.plugin().run(["sync", "acme"]).await.expect("the plugin");
        if plain(&output.stderr).contains(&plain(&unreachable)) { Ok(()) } else { Err(output.stderr) }
    })
    .await;
    let printed = env.refused_sync().await;
    assert!(printed.contains("connection refused"), "{printed}");
    env.run(&["delete", "validatingwebhookconfiguration", &configuration]).await;
    env.request_by_annotation("at last").await;
    env.wait_for_condition("acme", "Synced", "True", "Synced").await;
    env.stop_and_verify(operator).await;
}

#[tokio::test]
async fn a_namespace_that_is_being_deleted_is_told_and_causes_no_storm() {
    let (env, _, mut operator) = E2eEnv::with_ready_acme("terminating").await;
    let finalizers = |list: Value| json!({"metadata": {"finalizers": list}}).to_string();
    env.run(&["patch", "boxconn", "acme", "--type=merge", "-p", &finalizers(json!(["example.com/wait"]))]).await;
    env.run(&["delete", "namespace", &env.namespace, "--wait=false"]).await;
    let told = format!("you cannot create usersyncrequests in namespace {}, which is being deleted.", env.namespace);
    eventually("the namespace is being deleted", SHORT_TIMEOUT, async || {
        let output = env.plugin().run(["sync", "acme"]).await.expect("the plugin");
        if plain(&output.stderr).contains(&plain(&told)) { Ok(()) } else { Err(output.stderr) }
    })
    .await;
    env.refused_sync().await;
    env.run(&["patch", "boxconn", "acme", "--type=merge", "-p", &finalizers(json!([]))]).await;
    env.run(&["wait", "--for=delete", &format!("namespace/{}", env.namespace), "--timeout=110s"]).await;
    let log = operator.log();
    let failed = log.matches("sync failed").count() + log.matches("reconcile failed").count();
    assert!(failed < 10, "{failed} failures\n{log}");
    assert!(operator.terminate(SHORT_TIMEOUT).await.expect("exits").success(), "{}", operator.log());
}
