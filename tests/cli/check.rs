//! `check`: each check passed, failed and skipped.

use std::{sync::Arc, time::Duration};

use box_sim::{AuthMethod, Behaviour, BoxSim, Enterprise, EnterpriseConfig, KeyFormat, PASSPHRASE, Server};
use boxsync::api;
use kube_sim::{KubeSim, Resource, SimClock, Verb};
use serde_json::{Value, json};

use crate::env::{CliEnv, CliOutput, NAMESPACE, PIPE, TERMINAL, TestIo, condition_json};

/// A simulated cluster, and a simulated Box on a socket.
pub(crate) struct CheckEnv {
    pub(crate) cli: CliEnv,
    sim: BoxSim,
    pub(crate) acme: Enterprise,
    server: Option<Server>,
}

impl CheckEnv {
    pub(crate) async fn new(auth: AuthMethod) -> Self {
        // As in the plugin's `main`.
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let cli = CliEnv::new();
        let clock = SimClock::new(cli.clock.now());
        let sim = BoxSim::new(Arc::new(move || clock.now()));
        let acme = sim.add_enterprise(EnterpriseConfig { auth, ..EnterpriseConfig::new("1001").name("Acme").users(3) });
        let server = Some(sim.serve().await.expect("a free port"));
        cli.apply_lease(4);
        cli.create_ready_connection("acme", 3);
        let method = match auth {
            AuthMethod::ClientCredentials => "clientCredentials",
            AuthMethod::Jwt => "jwt",
            AuthMethod::Oauth2 => "oauth2",
        };
        cli.kube.edit("BoxConnection", NAMESPACE, "acme", |c| {
            c["spec"]["auth"] = json!({ method: { "secretRef": { "name": "box" } } });
        });
        let env = Self { cli, sim, acme, server };
        match auth {
            AuthMethod::ClientCredentials => env.apply_secret(
                "box",
                json!({ "clientId": env.acme.client_id(), "clientSecret": env.acme.client_secret() }),
            ),
            AuthMethod::Jwt => env.apply_secret("box", json!({ "config.json": env.config_file() })),
            AuthMethod::Oauth2 => env.apply_secret(
                "box",
                json!({ "clientId": env.acme.client_id(), "clientSecret": env.acme.client_secret(),
                    "refreshToken": env.acme.refresh_token() }),
            ),
        }
        env
    }

    fn apply_secret(&self, name: &str, data: Value) {
        self.cli.kube.apply(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": NAMESPACE }, "stringData": data,
        }));
    }

    fn config_file(&self) -> String {
        self.acme.config_json(KeyFormat::Pkcs8TripleDes).expect("an app with a key pair")
    }

    pub(crate) fn box_url(&self) -> String {
        // Nothing listens on port 1.
        self.server.as_ref().map_or_else(|| "http://127.0.0.1:1".to_owned(), Server::url)
    }

    pub(crate) async fn run_check(&self, line: &str) -> CliOutput {
        self.run_check_with_io(PIPE, line).await
    }

    /// Runs the command and asserts that its output contains no secret.
    async fn run_check_with_io(&self, io: TestIo<'_>, line: &str) -> CliOutput {
        let output = self.cli.run_with_io(io, &format!("check {line} --box-api-url {}", self.box_url())).await;
        let secrets = [Some(self.acme.client_secret()), self.acme.refresh_token(), Some(PASSPHRASE.to_owned())];
        for secret in secrets.into_iter().flatten().chain(["PRIVATE KEY".to_owned(), "planted".to_owned()]) {
            assert!(!output.out.contains(&secret) && !output.err.contains(&secret), "{output:?}");
        }
        for user in self.acme.users() {
            assert!(!output.out.contains(&user.login) && !output.out.contains(&user.name), "{output:?}");
        }
        output
    }
}

/// The marks in the order of the checks: operator, CRDs, Secret, credentials, Box, clock, token, enterprise, user list.
pub(crate) fn check_marks(output: &CliOutput) -> String {
    const TITLES: [&str; 9] =
        ["operator", "CRDs", "Secret", "credentials", "Box", "clock", "token", "enterprise", "user list"];
    let lines: Vec<&str> = output.out.lines().filter(|line| line.starts_with(['✓', '✗', '–'])).collect();
    let mark_of = |title: &str| {
        lines.iter().find_map(|line| {
            let (mark, rest) = line.split_at(line.find(' ')?);
            let titles = if mark == "✗" { rest.split("  ").next() } else { rest.split(": ").next() };
            titles?.split(", ").any(|one| one.trim() == title).then_some(mark)
        })
    };
    TITLES.into_iter().filter_map(mark_of).collect()
}

/// The text after `Action:`, in one line.
pub(crate) fn remediations(output: &CliOutput) -> String {
    let end = ["Action: ", "First action: "].iter().find_map(|title| output.out.split_once(title));
    let end = end.map_or("", |(_, rest)| rest);
    end.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn if_all_checks_pass_no_action_is_needed() {
    for auth in [AuthMethod::ClientCredentials, AuthMethod::Jwt] {
        let output = CheckEnv::new(auth).await.run_check("acme").await;
        assert_eq!((check_marks(&output).as_str(), output.code), ("✓✓✓✓✓✓✓✓✓", 0), "{}", output.out);
        assert!(
            output.out.contains(
                "\nNo action needed.\nThe operator's next sync: 2026-11-23 08:59Z (in 20h); in between it checks the connection about every hour.\n"
            ),
            "{}",
            output.out
        );
    }
}

#[tokio::test]
async fn an_unobserved_connection_is_shown_without_a_duration() {
    let env = CheckEnv::new(AuthMethod::ClientCredentials).await;
    let mut waiting = condition_json("Ready", "Unknown", "WaitingForOperator", "No operator has processed it.");
    waiting["lastTransitionTime"] = "1970-01-01T00:00:00Z".into();
    env.cli.set_status("acme", json!({ "observedGeneration": -1, "conditions": [waiting] }));
    let output = env.run_check("acme").await;
    assert!(output.out.contains("  Ready      Unknown · WaitingForOperator\n"), "{}", output.out);
}

#[tokio::test]
async fn problems_in_the_cluster_are_reported() {
    let env = CheckEnv::new(AuthMethod::ClientCredentials).await;
    env.cli.kube.delete("Lease", "boxsync", "boxsync-operator");
    let output = env.run_check("acme").await;
    assert_eq!((check_marks(&output).as_str(), output.code), ("✗✓✓✓✓✓✓✓✓", 1), "{}", output.out);
    assert!(remediations(&output).contains("A cluster admin must check why it does not run"), "{}", output.out);
    assert!(output.out.contains("No leader: nothing is checked until there is one."), "{}", output.out);

    let env = CheckEnv::new(AuthMethod::ClientCredentials).await;
    env.cli.kube.delete("Secret", NAMESPACE, "box");
    let output = env.run_check("acme").await;
    assert_eq!((check_marks(&output).as_str(), output.code), ("✓✓✗–✓✓–––", 1), "{}", output.out);
    assert!(remediations(&output).starts_with("Create it with the keys clientId and clientSecret."), "{}", output.out);

    let env = CheckEnv::new(AuthMethod::ClientCredentials).await;
    env.apply_secret("box", json!({ "clientSecret": "planted", "clientId": "" }));
    let output = env.run_check("acme").await;
    assert_eq!((check_marks(&output).as_str(), output.code), ("✓✓✓✗✓✓–––", 1), "{}", output.out);
    assert!(remediations(&output).starts_with("Add the keys clientId and clientSecret to it."), "{}", output.out);
}

#[tokio::test]
async fn an_unreadable_secret_is_skipped_not_failed() {
    let env = CheckEnv::new(AuthMethod::ClientCredentials).await;
    env.cli.kube.forbid(|call| call.verb == Verb::Get && call.resource == "secrets" && call.user == "alice");
    let output = env.run_check("acme").await;
    assert_eq!((check_marks(&output).as_str(), output.code), ("✓✓––✓✓–––", 0), "{}", output.out);
    assert!(output.out.contains("you are not allowed to get secrets in namespace backup"), "{}", output.out);
}

#[tokio::test]
async fn missing_crds_are_named() {
    let env = CheckEnv::new(AuthMethod::ClientCredentials).await;
    for (missing, kind, expected_marks) in
        [("userslices", "UserSlices", "✓✗✓✓✓✓✓✓✓"), ("boxconnections", "BoxConnections", "✗✗–––––––")]
    {
        let clock = SimClock::new(env.cli.clock.now());
        let crds = api::crds().into_iter().filter(|crd| crd.spec.names.plural != missing);
        let kinds: Vec<Resource> = crds.map(|crd| Resource::from_crd(&crd)).collect();
        let cli = CliEnv { kube: KubeSim::new(clock.clock_fn(), kinds), clock };
        if missing == "userslices" {
            cli.apply_lease(4);
            cli.create_ready_connection("acme", 3);
            let data = json!({ "clientId": env.acme.client_id(), "clientSecret": env.acme.client_secret() });
            cli.kube.apply(json!({ "apiVersion": "v1", "kind": "Secret",
                "metadata": { "name": "box", "namespace": NAMESPACE }, "stringData": data }));
        }
        let output = cli.run(&format!("check acme --box-api-url {}", env.box_url())).await;
        assert_eq!((check_marks(&output).as_str(), output.code), (expected_marks, 1), "{}", output.out);
        assert!(output.out.contains(&format!("The API server does not serve {kind}.")), "{}", output.out);
    }
}

#[tokio::test]
async fn box_errors_are_reported_as_by_the_operator() {
    type BreakBox = fn(&Enterprise);
    let failures: [(BreakBox, &str, &str); 6] = [
        (
            |acme| acme.deauthorize_app(),
            "✓✓✓✓✓✓✗––",
            "A Box admin of enterprise 1001 must authorize the Box app with client id",
        ),
        (|acme| drop(acme.rotate_secret()), "✓✓✓✓✓✓✗––", "Secret box"),
        (
            |acme| acme.enable_behaviour(Behaviour::OtherEnterprise),
            "✓✓✓✓✓✓✓✗–",
            "Store the credentials of an app of enterprise 1001 in Secret",
        ),
        (|acme| acme.enable_behaviour(Behaviour::InsufficientScope), "✓✓✓✓✓✓✓✓✗", "The app needs \"Manage users\""),
        (|acme| acme.enable_behaviour(Behaviour::EmptyList), "✓✓✓✓✓✓✓✓✗", "The app needs \"Manage users\""),
        (
            |acme| acme.enable_behaviour(Behaviour::LocationBlocked),
            "✓✓✓✓✓✓✓✗–",
            "Admin Console > Enterprise Settings > Security",
        ),
    ];
    for (break_box, expected_marks, remediation) in failures {
        let env = CheckEnv::new(AuthMethod::ClientCredentials).await;
        break_box(&env.acme);
        let output = env.run_check("acme").await;
        assert_eq!((check_marks(&output).as_str(), output.code), (expected_marks, 1), "{}", output.out);
        assert!(remediations(&output).contains(remediation), "{remediation}: {}", output.out);
    }
}

#[tokio::test]
async fn a_wrong_passphrase_and_a_wrong_enterprise_are_distinguished() {
    let env = CheckEnv::new(AuthMethod::Jwt).await;
    env.apply_secret("box", json!({ "config.json": env.config_file().replace(PASSPHRASE, "planted") }));
    let output = env.run_check("acme").await;
    assert_eq!((check_marks(&output).as_str(), output.code), ("✓✓✓✗✓✓–––", 1), "{}", output.out);
    assert!(output.out.contains("The private key cannot be decrypted"), "{}", output.out);

    let other = env.config_file().replace("\"enterpriseID\": \"1001\"", "\"enterpriseID\": \"2002\"");
    env.apply_secret("box", json!({ "config.json": other }));
    let output = env.run_check("acme").await;
    assert_eq!((check_marks(&output).as_str(), output.code), ("✓✓✓✓✓✓–✗–", 1), "{}", output.out);
    assert!(output.out.contains("belong to enterprise 2002"), "{}", output.out);
}

#[tokio::test]
async fn a_wrong_clock_fails_although_sign_in_succeeds() {
    let env = CheckEnv::new(AuthMethod::Jwt).await;
    // Box's clock stays, which the check of the clock tells.
    env.cli.clock.advance(Duration::from_secs(120));
    env.cli.apply_lease(4);
    let output = env.run_check("acme").await;
    assert_eq!((check_marks(&output).chars().nth(5), output.code), (Some('✗'), 1), "{}", output.out);
    assert!(check_marks(&output).ends_with("✗✓✓✓"), "{}", output.out);
    assert!(output.out.contains("seconds ahead of Box's"), "{}", output.out);
}

#[tokio::test]
async fn if_box_is_unreachable_the_remaining_checks_are_skipped() {
    let mut env = CheckEnv::new(AuthMethod::ClientCredentials).await;
    env.server = None;
    let output = env.run_check("acme").await;
    assert_eq!((check_marks(&output).as_str(), output.code), ("✓✓✓✓✗––––", 1), "{}", output.out);
    assert!(output.out.contains("127.0.0.1 cannot be reached: "), "{}", output.out);
}

#[tokio::test]
async fn oauth2_tokens_are_checked_and_never_refreshed() {
    let env = CheckEnv::new(AuthMethod::Oauth2).await;
    let output = env.run_check("acme").await;
    assert_eq!((check_marks(&output).as_str(), output.code), ("✓✓✓✓✓✓–––", 0), "{}", output.out);
    assert!(output.out.contains("the operator has stored no tokens yet (Secret acme-oauth2)"), "{}", output.out);

    // As the operator refreshes and stores it.
    let token = env.refresh_access_token().await;
    env.apply_secret("acme-oauth2", json!({ "accessToken": token }));
    let seed = env.acme.refresh_token();
    let output = env.run_check("acme").await;
    assert_eq!((check_marks(&output).as_str(), output.code), ("✓✓✓✓✓✓✓✓✓", 0), "{}", output.out);
    assert!(!output.out.contains(&token), "{}", output.out);

    // An expired access token is not a failure, and is not renewed.
    env.acme.revoke_tokens();
    let output = env.run_check("acme").await;
    assert_eq!((check_marks(&output).as_str(), output.code), ("✓✓✓✓✓✓–––", 0), "{}", output.out);
    assert!(output.out.contains("has expired"), "{}", output.out);
    assert_eq!(env.acme.refresh_token(), seed);
}

impl CheckEnv {
    /// Exchanges the refresh token for an access token.
    async fn refresh_access_token(&self) -> String {
        use tower::ServiceExt;
        let form = format!(
            "grant_type=refresh_token&client_id={}&client_secret={}&refresh_token={}",
            self.acme.client_id(),
            self.acme.client_secret(),
            self.acme.refresh_token().expect("an OAuth app")
        );
        let request = http::Request::post("/oauth2/token")
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(axum::body::Body::from(form))
            .expect("a request");
        let Ok(answer) = self.sim.router().oneshot(request).await;
        let body = axum::body::to_bytes(answer.into_body(), 1 << 16).await.expect("a body");
        let reply: Value = serde_json::from_slice(&body).expect("JSON");
        reply["access_token"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned()
    }
}

#[tokio::test]
async fn a_file_is_checked_without_any_cluster() {
    let env = CheckEnv::new(AuthMethod::Jwt).await;
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("check-config.json");
    std::fs::write(&path, env.config_file()).expect("writable");
    let mark = env.cli.kube.log_position();
    let output = env.run_check(&format!("--file {}", path.display())).await;
    assert_eq!((check_marks(&output).as_str(), output.code), ("✓✓✓✓✓✓", 0), "{}", output.out);
    assert!(output.out.starts_with("No action needed.\n"), "{}", output.out);
    assert!(env.cli.kube.requests_since(mark).is_empty(), "the cluster was called");

    let with_input = |text: &'static str| TestIo { input: text, ..PIPE };
    let output = env.run_check_with_io(with_input("{\"planted\":"), "--file -").await;
    assert_eq!((check_marks(&output).as_str(), output.code), ("✗✓✓–––", 1), "{}", output.out);
    assert!(remediations(&output).contains("is not JSON (line 1, column"), "{}", output.out);

    let mut costly: Value = serde_json::from_str(&env.config_file()).expect("JSON");
    costly["boxAppSettings"]["appAuth"]["privateKey"] =
        include_str!("../../src/box_client/fixtures/pbkdf2-3000000.pem").into();
    let costly_path = path.with_file_name("check-costly.json");
    std::fs::write(&costly_path, costly.to_string()).expect("writable");
    let output = env.run_check(&format!("--file {}", costly_path.display())).await;
    assert_eq!((check_marks(&output).as_str(), output.code), ("✗✓✓–––", 1), "{}", output.out);
    assert!(remediations(&output).contains("3000000 iterations; at most 2000000"), "{}", output.out);

    let output = env.run_check(&format!("--file {} --enterprise-id 2002", path.display())).await;
    assert_eq!((check_marks(&output).as_str(), output.code), ("✓✓✓–✗–", 1), "{}", output.out);

    env.acme.replace_key_pair();
    let output = env.run_check(&format!("--file {}", path.display())).await;
    assert_eq!((check_marks(&output).as_str(), output.code), ("✓✓✓✗––", 1), "{}", output.out);
    assert!(output.out.contains("download a new config.json"), "{}", output.out);

    let output = env.run_check("--file /nowhere/config.json").await;
    assert_eq!(output.code, 64, "{}", output.err);
}

#[tokio::test]
async fn json_output_is_complete_and_terminals_show_colors() {
    let env = CheckEnv::new(AuthMethod::ClientCredentials).await;
    env.acme.deauthorize_app();
    let output = env.run_check("acme -o json").await;
    let report: Value = serde_json::from_str(&output.out).expect("JSON");
    assert_eq!(report["checks"].as_array().map(Vec::len), Some(9), "{report:#}");
    assert_eq!(report["checks"][6]["check"], "Token");
    assert_eq!(report["checks"][6]["status"], "Fail");
    assert_eq!(report["actions"][0], report["checks"][6]["remediation"]);
    assert_eq!((&report["lastStatus"]["operator"]["state"], output.code), (&json!("Active"), 1));
    assert!(env.run_check_with_io(TERMINAL, "acme").await.out.contains("\x1b[31m✗\x1b[0m token"));
}

#[test]
fn the_proxy_is_named_without_its_password() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_kubectl-boxsync"))
        .args(["check", "--file", "/dev/null", "--box-api-url", "https://box.invalid"])
        .env_clear()
        .env("HTTPS_PROXY", "http://me:planted@127.0.0.1:1")
        .output()
        .expect("the plugin runs");
    let out = String::from_utf8(output.stdout).expect("text");
    let out = out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(out.contains("box.invalid cannot be reached through the proxy http://127.0.0.1:1: "), "{out}");
    assert!(!out.contains("planted") && output.status.code() == Some(1), "{out}");
}
