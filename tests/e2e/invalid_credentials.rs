//! Invalid credentials: each leads to the documented state with a helpful message, and recovers once it is fixed.

use box_sim::{AuthMethod, Enterprise, EnterpriseConfig, KeyFormat, PASSPHRASE};
use boxsync::api::ConditionsExt as _;
use futures::future::join_all;
use kube::api::Api;

use crate::env::{
    E2eEnv, LONG_TIMEOUT, connection_conditions, connection_yaml, create_acme, expect_condition, request_conditions,
};

/// Keys and values of a Secret.
type SecretContent = Vec<(&'static str, String)>;

/// One kind of invalid credentials.
struct BadCredentialsCase {
    name: &'static str,
    auth: AuthMethod,
    /// The Secret's content; `None` if there is no Secret.
    wrong: Option<fn(&E2eEnv, &Enterprise) -> SecretContent>,
    reason: &'static str,
    /// Texts in the message of the condition Connected.
    words: &'static [&'static str],
    /// What makes the connection use the fixed credentials.
    recovery: Recovery,
}

enum Recovery {
    Automatic,
    OnRequest,
}

const CC: AuthMethod = AuthMethod::ClientCredentials;

const CASES: &[BadCredentialsCase] = &[
    BadCredentialsCase {
        name: "no-secret",
        auth: CC,
        wrong: None,
        reason: "CredentialsMissing",
        words: &["There is no Secret no-secret in namespace", "clientId and clientSecret"],
        recovery: Recovery::Automatic,
    },
    BadCredentialsCase {
        name: "no-key",
        auth: CC,
        wrong: Some(|_, e| vec![("clientId", e.client_id()), ("client_secret", e.client_secret())]),
        reason: "CredentialsMissing",
        words: &["Secret no-key has no key clientSecret"],
        recovery: Recovery::OnRequest,
    },
    BadCredentialsCase {
        name: "empty-key",
        auth: CC,
        wrong: Some(|_, e| vec![("clientId", e.client_id()), ("clientSecret", String::new())]),
        reason: "CredentialsMissing",
        words: &["no key clientSecret, or it is empty"],
        recovery: Recovery::OnRequest,
    },
    BadCredentialsCase {
        name: "no-config",
        auth: AuthMethod::Jwt,
        wrong: Some(|env, e| vec![("config", env.config_json(e, KeyFormat::Pkcs8TripleDes))]),
        reason: "CredentialsMissing",
        words: &["Secret no-config has no key config.json"],
        recovery: Recovery::OnRequest,
    },
    BadCredentialsCase {
        name: "not-json",
        auth: AuthMethod::Jwt,
        wrong: Some(|env, e| {
            let file = env.config_json(e, KeyFormat::Pkcs8TripleDes);
            vec![("config.json", file.replace("\"boxAppSettings\":", "boxAppSettings="))]
        }),
        reason: "CredentialsInvalid",
        words: &["Secret not-json", "is not JSON (line 2", "Download as JSON"],
        recovery: Recovery::Automatic,
    },
    BadCredentialsCase {
        name: "another-file",
        auth: AuthMethod::Jwt,
        wrong: Some(|_, _| vec![("config.json", "{\"type\": \"service_account\"}".to_owned())]),
        reason: "CredentialsInvalid",
        words: &["not a Box app configuration"],
        recovery: Recovery::OnRequest,
    },
    BadCredentialsCase {
        name: "wrong-passphrase",
        auth: AuthMethod::Jwt,
        wrong: Some(|env, e| {
            let file = env.config_json(e, KeyFormat::Pkcs8TripleDes);
            vec![("config.json", file.replace(PASSPHRASE, "not-the-passphrase"))]
        }),
        reason: "CredentialsInvalid",
        words: &["cannot be decrypted", "passphrase"],
        recovery: Recovery::OnRequest,
    },
    BadCredentialsCase {
        name: "traditional-pem",
        auth: AuthMethod::Jwt,
        wrong: Some(|env, e| vec![("config.json", env.config_json(e, KeyFormat::TraditionalPem))]),
        reason: "CredentialsInvalid",
        words: &["legacy encrypted format", "openssl pkcs8 -topk8"],
        recovery: Recovery::Automatic,
    },
    BadCredentialsCase {
        name: "another-enterprise-in-the-file",
        auth: AuthMethod::Jwt,
        wrong: Some(|env, e| {
            let file = env.config_json(e, KeyFormat::Pkcs8TripleDes);
            vec![(
                "config.json",
                file.replace(&format!("\"enterpriseID\": \"{}\"", e.id()), "\"enterpriseID\": \"999\""),
            )]
        }),
        reason: "EnterpriseMismatch",
        words: &["belong to enterprise 999, not enterprise"],
        recovery: Recovery::OnRequest,
    },
    BadCredentialsCase {
        name: "wrong-client-secret",
        auth: CC,
        wrong: Some(|env, e| {
            vec![("clientId", e.client_id()), ("clientSecret", env.secrets.add("the-secret-of-last-year"))]
        }),
        reason: "CredentialsRejected",
        words: &["invalid_client", "client id and secret", "Secret wrong-client-secret"],
        recovery: Recovery::Automatic,
    },
];

async fn check_case(env: &E2eEnv, row: &BadCredentialsCase, enterprise: Enterprise) {
    let BadCredentialsCase { name, auth, wrong, reason, words, recovery } = row;
    let method = if *auth == AuthMethod::Jwt { "jwt" } else { "clientCredentials" };
    if let Some(wrong) = wrong {
        let values = wrong(env, &enterprise);
        let values: Vec<(&str, &str)> = values.iter().map(|(key, value)| (*key, value.as_str())).collect();
        env.apply_secret(name, &values).await;
    }
    env.apply_manifest(&connection_yaml(name, enterprise.id(), method, "")).await;
    let connection = env.wait_for_condition(name, "Connected", "False", reason).await;
    let all = connection_conditions(&connection);
    let message = expect_condition(all, "Connected").2;
    for words in *words {
        assert!(message.contains(words), "{name}: no {words:?} in: {message}");
    }
    assert_eq!((expect_condition(all, "Ready").0, expect_condition(all, "Ready").1), ("False", *reason), "{name}");
    assert_eq!((expect_condition(all, "Synced").0, expect_condition(all, "Synced").1), ("False", *reason), "{name}");
    assert_eq!((expect_condition(all, "Stalled").0, expect_condition(all, "Stalled").1), ("True", *reason), "{name}");
    assert!(all.find_condition("Reconciling").is_none(), "{name}");

    match auth {
        AuthMethod::Jwt => {
            let file = env.config_json(&enterprise, KeyFormat::Pkcs8TripleDes);
            env.apply_secret(name, &[("config.json", &file)]).await;
        }
        AuthMethod::ClientCredentials | AuthMethod::Oauth2 => env.apply_client_secret(name, &enterprise).await,
    }
    match recovery {
        Recovery::Automatic => {}
        Recovery::OnRequest => {
            let request = env.run_request(name).await;
            assert_eq!(expect_condition(request_conditions(&request), "Complete").1, "Synced", "{name}");
        }
    }
    let recovered = env.wait_until_ready(name).await;
    assert!(connection_conditions(&recovered).find_condition("Stalled").is_none(), "{name}");
}

#[tokio::test]
async fn invalid_credentials_are_reported_and_recover_once_fixed() {
    let env = E2eEnv::new("bad input").await;
    let operator = env.start_operator();
    let checks = CASES.iter().zip(3001..).map(|(case, id)| {
        let enterprise = env.sim.add_enterprise(EnterpriseConfig::new(id.to_string()).users(20).auth(case.auth));
        check_case(&env, case, enterprise)
    });
    join_all(checks).await;
    env.stop_and_verify(operator).await;
}

/// Client credentials do not contain the enterprise ID; Box returns it.
#[tokio::test]
async fn credentials_of_another_enterprise_list_no_users() {
    let env = E2eEnv::new("mismatch").await;
    let acme = create_acme(&env.sim);
    acme.enable_behaviour(box_sim::Behaviour::OtherEnterprise);
    let operator = env.start_operator();
    env.connect_by_client_credentials("acme", &acme).await;
    let connection = env.wait_for_condition("acme", "Connected", "False", "EnterpriseMismatch").await;
    let message = expect_condition(connection_conditions(&connection), "Connected").2;
    assert!(message.contains("belong to enterprise 999999") && message.contains("not enterprise 1001"), "{message}");
    assert_eq!(crate::env::count_listed_pages(&acme), 0);
    env.stop_and_verify(operator).await;
}

/// The chart's manifests without the permission to read Secrets.
fn without_secrets(manifests: String) -> String {
    let rule = "  - apiGroups: [\"\"]\n    resources: [secrets]\n    verbs: [get]\n";
    assert!(manifests.contains(rule), "{manifests}");
    manifests.replace(rule, "")
}

#[tokio::test]
async fn a_forbidden_secret_is_reported_as_a_cluster_problem() {
    let env = E2eEnv::on_plane(crate::env::shared_plane().await, "forbidden secret", without_secrets).await;
    let acme = create_acme(&env.sim);
    let operator = env.start_operator();
    env.connect_by_client_credentials("acme", &acme).await;
    let connection = env.wait_for_condition("acme", "Synced", "False", "Internal").await;
    let all = connection_conditions(&connection);
    let (_, _, message) = expect_condition(all, "Synced");
    for words in ["read Secret acme", "RoleBinding", &env.namespace] {
        assert!(message.contains(words), "no {words:?} in: {message}");
    }
    assert_ne!(expect_condition(all, "Connected").0, "False");
    assert!(all.find_condition("Stalled").is_none());
    assert_eq!(acme.call_counts().total(), 0);

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
        crate::env::SERVICE_ACCOUNT
    );
    env.apply_manifest(&role).await;
    // The authorizer observes new roles through a watch, with a delay.
    let secrets: Api<k8s_openapi::api::core::v1::Secret> = Api::namespaced(env.operator_client(), &env.namespace);
    harness::eventually("the Secret may be read", LONG_TIMEOUT, async || secrets.get("acme").await).await;
    let request = env.run_request("acme").await;
    assert_eq!(expect_condition(request_conditions(&request), "Complete").1, "Synced");
    env.stop_and_verify(operator).await;
}
