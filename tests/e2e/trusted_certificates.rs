//! Certificates that are trusted for Box: those of the system, and those of `--ca-bundle` in addition.

use std::{fs, process::Stdio};

use harness::OperatorCommand;
use serde_json::Value;
use tokio::process::Command;

use crate::{
    env::{BINARY, E2eEnv, PLUGIN, create_acme, repo_path},
    like_kubectl::network::Endpoint,
};

const CERTIFICATES: &str = "tests/e2e/like_kubectl/certificates";

fn certificate(name: &str) -> String {
    repo_path(CERTIFICATES).join(name).to_string_lossy().into_owned()
}

async fn box_behind_tls(env: &E2eEnv, identity: &str) -> String {
    let plain = env.box_url().trim_start_matches("http://").trim_end_matches('/').parse().expect("an address");
    let endpoint = Endpoint::tls_in_front_of(plain, &fs::read(certificate(identity)).expect("a file")).await;
    format!("https://{}", endpoint.address)
}

#[tokio::test]
async fn the_operator_syncs_from_a_box_whose_certificate_a_bundle_signed() {
    let env = E2eEnv::new("ca-bundle").await;
    let acme = create_acme(&env.sim);
    let url = box_behind_tls(&env, "p521.pem").await;
    let settings = OperatorCommand::new(BINARY, env.operator_kubeconfig())
        .name(&env.namespace)
        .flag("--lease-namespace", &env.namespace)
        .flag("--watch-namespace", &env.namespace)
        .flag("--box-api-url", url)
        .env("BOXSYNC_CA_BUNDLE", certificate("ca-p521.crt"))
        .secrets(&env.secrets);
    let operator = env.start_operator_with(&settings);
    env.connect_by_client_credentials("acme", &acme).await;
    env.wait_until_ready("acme").await;
    env.stop_and_verify(operator).await;
}

#[tokio::test]
async fn the_certificates_of_a_bundle_are_added_to_those_of_the_system() {
    let env = E2eEnv::new("ca-bundle-added").await;
    let check = async |identity: &str, bundle: Option<&str>| {
        let url = box_behind_tls(&env, identity).await;
        let mut command = Command::new(PLUGIN);
        command.args(["check", "--file", "-", "--output", "json", "--box-api-url", &url]);
        command.env("SSL_CERT_FILE", certificate("ca-p256.crt")).env_remove("BOXSYNC_CA_BUNDLE");
        if let Some(bundle) = bundle {
            command.arg("--ca-bundle").arg(certificate(bundle));
        }
        let output = command.stdin(Stdio::null()).output().await.expect("it starts");
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
        let checks = report["checks"].as_array().expect("a list");
        checks.iter().find(|check| check["check"] == "BoxApi").expect("the check")["status"].clone()
    };
    assert_eq!(check("p256.pem", None).await, "Pass", "signed by the system's");
    assert_eq!(check("p521.pem", None).await, "Fail", "signed by another");
    assert_eq!(check("p521.pem", Some("ca-p521.crt")).await, "Pass", "signed by the bundle's");
    assert_eq!(check("p256.pem", Some("ca-p521.crt")).await, "Pass", "signed by the system's, with a bundle");
}

#[tokio::test]
async fn certificates_that_cannot_be_read_are_an_error_at_start_that_names_the_file() {
    let run: &[&str] = &["run", "--listen=off"];
    let status: &[&str] = &["status", "--server", "http://127.0.0.1:1"];
    let check: &[&str] = &["check", "acme"];
    for (program, args, variable, file, expected) in [
        (BINARY, run, "SSL_CERT_FILE", "/missing.pem", "SSL_CERT_FILE: /missing.pem cannot be read"),
        (BINARY, run, "SSL_CERT_FILE", "/dev/null", "SSL_CERT_FILE: /dev/null holds no certificate"),
        (BINARY, run, "BOXSYNC_CA_BUNDLE", "/missing.pem", "/missing.pem cannot be read"),
        (BINARY, run, "BOXSYNC_CA_BUNDLE", "/dev/null", "/dev/null holds no certificate"),
        (PLUGIN, status, "SSL_CERT_FILE", "/missing.pem", "SSL_CERT_FILE: /missing.pem cannot be read"),
        (PLUGIN, check, "BOXSYNC_CA_BUNDLE", "/missing.pem", "/missing.pem cannot be read"),
    ] {
        let mut command = Command::new(program);
        command.args(args).env(variable, file).env("KUBECONFIG", "/missing");
        let output = command.stdin(Stdio::null()).output().await.expect("it starts");
        // The plugin wraps its lines.
        let error = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!output.status.success() && error.contains(expected), "{variable}={file} {args:?}: {error}");
    }
}
