//! Credentials that are no good: each ends in the state that the documentation names, with words that help, and
//! recovers once it is mended.

use box_sim::{Auth, Enterprise, EnterpriseSpec, KeyFormat, PASSPHRASE};
use boxsync::api::Conditions as _;
use futures::future::join_all;
use kube::api::Api;

use crate::stage::{LATER, Stage, acme, condition, conditions, connection, request_conditions};

/// What a Secret holds: keys and values.
type Content = Vec<(&'static str, String)>;

/// One thing that can be wrong.
struct Row {
    name: &'static str,
    auth: Auth,
    /// The Secret's content; none: there is no Secret.
    wrong: Option<fn(&Stage, &Enterprise) -> Content>,
    reason: &'static str,
    /// Words of the condition Connected.
    words: &'static [&'static str],
    /// How the connection learns that it was mended.
    then: Then,
}

enum Then {
    ByItself,
    Asked,
}

const CC: Auth = Auth::ClientCredentials;

const TABLE: &[Row] = &[
    Row {
        name: "no-secret",
        auth: CC,
        wrong: None,
        reason: "CredentialsMissing",
        words: &["There is no Secret no-secret in namespace", "clientId and clientSecret", "every minute"],
        then: Then::ByItself,
    },
    Row {
        name: "no-key",
        auth: CC,
        wrong: Some(|_, e| vec![("clientId", e.client_id()), ("client_secret", e.client_secret())]),
        reason: "CredentialsMissing",
        words: &["Secret no-key has no key clientSecret"],
        then: Then::Asked,
    },
    Row {
        name: "empty-key",
        auth: CC,
        wrong: Some(|_, e| vec![("clientId", e.client_id()), ("clientSecret", String::new())]),
        reason: "CredentialsMissing",
        words: &["no key clientSecret, or it is empty"],
        then: Then::Asked,
    },
    Row {
        name: "no-config",
        auth: Auth::Jwt,
        wrong: Some(|stage, e| vec![("config", stage.config_json(e, KeyFormat::Pkcs8TripleDes))]),
        reason: "CredentialsMissing",
        words: &["Secret no-config has no key config.json"],
        then: Then::Asked,
    },
    Row {
        name: "not-json",
        auth: Auth::Jwt,
        wrong: Some(|stage, e| {
            let file = stage.config_json(e, KeyFormat::Pkcs8TripleDes);
            vec![("config.json", file.replace("\"boxAppSettings\":", "boxAppSettings="))]
        }),
        reason: "CredentialsInvalid",
        words: &["Secret not-json", "is not JSON (line 2", "Download as JSON"],
        then: Then::ByItself,
    },
    Row {
        name: "another-file",
        auth: Auth::Jwt,
        wrong: Some(|_, _| vec![("config.json", "{\"type\": \"service_account\"}".to_owned())]),
        reason: "CredentialsInvalid",
        words: &["not the file that Box's developer console hands out"],
        then: Then::Asked,
    },
    Row {
        name: "wrong-passphrase",
        auth: Auth::Jwt,
        wrong: Some(|stage, e| {
            let file = stage.config_json(e, KeyFormat::Pkcs8TripleDes);
            vec![("config.json", file.replace(PASSPHRASE, "not-the-passphrase"))]
        }),
        reason: "CredentialsInvalid",
        words: &["cannot be decrypted", "passphrase"],
        then: Then::Asked,
    },
    Row {
        name: "traditional-pem",
        auth: Auth::Jwt,
        wrong: Some(|stage, e| vec![("config.json", stage.config_json(e, KeyFormat::TraditionalPem))]),
        reason: "CredentialsInvalid",
        words: &["Proc-Type: 4,ENCRYPTED", "openssl pkcs8 -topk8"],
        then: Then::ByItself,
    },
    Row {
        name: "another-enterprise-in-the-file",
        auth: Auth::Jwt,
        wrong: Some(|stage, e| {
            let file = stage.config_json(e, KeyFormat::Pkcs8TripleDes);
            vec![(
                "config.json",
                file.replace(&format!("\"enterpriseID\": \"{}\"", e.id()), "\"enterpriseID\": \"999\""),
            )]
        }),
        reason: "EnterpriseMismatch",
        words: &["belong to enterprise 999, not to enterprise"],
        then: Then::Asked,
    },
    Row {
        name: "wrong-client-secret",
        auth: CC,
        wrong: Some(|stage, e| {
            vec![("clientId", e.client_id()), ("clientSecret", stage.secrets.plant("the-secret-of-last-year"))]
        }),
        reason: "CredentialsRejected",
        words: &["invalid_client", "client id and secret", "Secret wrong-client-secret"],
        then: Then::ByItself,
    },
];

async fn row(stage: &Stage, row: &Row, enterprise: Enterprise) {
    let Row { name, auth, wrong, reason, words, then } = row;
    let method = if *auth == Auth::Jwt { "jwt" } else { "clientCredentials" };
    if let Some(wrong) = wrong {
        let values = wrong(stage, &enterprise);
        let values: Vec<(&str, &str)> = values.iter().map(|(key, value)| (*key, value.as_str())).collect();
        stage.secret(name, &values).await;
    }
    stage.apply(&connection(name, enterprise.id(), method, "")).await;
    let told = stage.told(name, "Connected", "False", reason).await;
    let all = conditions(&told);
    let message = condition(all, "Connected").2;
    for words in *words {
        assert!(message.contains(words), "{name}: no {words:?} in: {message}");
    }
    assert_eq!((condition(all, "Ready").0, condition(all, "Ready").1), ("False", *reason), "{name}");
    assert_eq!((condition(all, "Synced").0, condition(all, "Synced").1), ("False", *reason), "{name}");
    assert_eq!((condition(all, "Stalled").0, condition(all, "Stalled").1), ("True", *reason), "{name}");
    assert!(all.of("Reconciling").is_none(), "{name}");

    match auth {
        Auth::Jwt => {
            let file = stage.config_json(&enterprise, KeyFormat::Pkcs8TripleDes);
            stage.secret(name, &[("config.json", &file)]).await;
        }
        Auth::ClientCredentials | Auth::Oauth2 => stage.put_credentials(name, &enterprise).await,
    }
    match then {
        Then::ByItself => {}
        Then::Asked => {
            let request = stage.finished(&stage.ask(name).await).await;
            assert_eq!(condition(request_conditions(&request), "Complete").1, "Synced", "{name}");
        }
    }
    let mended = stage.ready(name).await;
    assert!(conditions(&mended).of("Stalled").is_none(), "{name}");
}

#[tokio::test]
async fn credentials_that_are_no_good_say_so_and_recover_once_they_are_mended() {
    let stage = Stage::begin("bad input").await;
    let operator = stage.operator();
    let rows = TABLE.iter().zip(3001..).map(|(at, id)| {
        let enterprise = stage.sim.enterprise(EnterpriseSpec::new(id.to_string()).users(20).auth(at.auth));
        row(&stage, at, enterprise)
    });
    join_all(rows).await;
    stage.end(operator).await;
}

/// Client credentials do not name their enterprise: Box says whose they are.
#[tokio::test]
async fn credentials_of_another_enterprise_list_nobody() {
    let stage = Stage::begin("mismatch").await;
    let acme = acme(&stage.sim);
    acme.behave(box_sim::Behaviour::OtherEnterprise);
    let operator = stage.operator();
    stage.connect("acme", &acme).await;
    let told = stage.told("acme", "Connected", "False", "EnterpriseMismatch").await;
    let message = condition(conditions(&told), "Connected").2;
    assert!(message.contains("belong to enterprise 999999") && message.contains("not to enterprise 1001"), "{message}");
    assert_eq!(crate::stage::pages(&acme), 0);
    stage.end(operator).await;
}

/// The chart's rights without the one to read Secrets.
fn without_secrets(manifests: String) -> String {
    let rule = "  - apiGroups: [\"\"]\n    resources: [secrets]\n    verbs: [get]\n";
    assert!(manifests.contains(rule), "{manifests}");
    manifests.replace(rule, "")
}

#[tokio::test]
async fn a_secret_that_may_not_be_read_is_the_clusters_matter_and_not_boxs() {
    let stage = Stage::on(crate::stage::plane().await, "forbidden secret", without_secrets).await;
    let acme = acme(&stage.sim);
    let operator = stage.operator();
    stage.connect("acme", &acme).await;
    let told = stage.told("acme", "Synced", "False", "Internal").await;
    let all = conditions(&told);
    let (_, _, message) = condition(all, "Synced");
    for words in ["read Secret acme", "RoleBinding", &stage.namespace] {
        assert!(message.contains(words), "no {words:?} in: {message}");
    }
    assert_ne!(condition(all, "Connected").0, "False");
    assert!(all.of("Stalled").is_none());
    assert_eq!(acme.calls().total(), 0);

    let role = format!(
        "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: boxsync-secrets
rules:
  - apiGroups: ['']
    resources: [secrets]
    verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: boxsync-secrets
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: boxsync-secrets
subjects:
  - kind: ServiceAccount
    name: {}
",
        crate::stage::ACCOUNT
    );
    stage.apply(&role).await;
    // The authorizer learns of new roles by a watch.
    let secrets: Api<k8s_openapi::api::core::v1::Secret> = Api::namespaced(stage.as_operator(), &stage.namespace);
    harness::eventually("the Secret may be read", LATER, async || secrets.get("acme").await).await;
    let request = stage.finished(&stage.ask("acme").await).await;
    assert_eq!(condition(request_conditions(&request), "Complete").1, "Synced");
    stage.end(operator).await;
}
