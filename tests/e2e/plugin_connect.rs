//! `kubectl boxsync connect` against the real API server: one command from a client secret to the first list.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Command, Stdio},
};

use box_sim::{AuthMethod, EnterpriseConfig};

use crate::env::{E2eEnv, PLUGIN, create_acme, expect_condition, request_conditions};

/// Runs `kubectl boxsync ARGS` with this standard input, which must succeed; returns its stdout and stderr.
async fn run_plugin_with_input(env: &E2eEnv, input: &str, args: &[&str]) -> (String, String) {
    let url = env.box_url();
    let output =
        env.plugin().run_with_stdin([args, &["--box-api-url", &url]].concat(), input).await.expect("the plugin");
    assert!(output.status.success(), "{output:?}");
    (output.stdout, output.stderr)
}

#[tokio::test]
async fn connect_creates_a_connection_and_later_replaces_its_secret() {
    let env = E2eEnv::new("connect").await;
    let acme = create_acme(&env.sim);
    let operator = env.start_operator();
    let (id, first) = (acme.client_id(), env.secrets.add(acme.client_secret()));
    let new =
        ["connect", "acme", "--method", "client-credentials", "--enterprise-id", "1001", "--client-id", &id, "--yes"];
    let (out, first_err) = run_plugin_with_input(&env, &format!("{first}\n"), &new).await;
    for words in ["secret/acme-box created", "boxconnection.boxsync.dev/acme created", "1,200 users"] {
        assert!(out.contains(words), "no {words:?} in {out}");
    }
    env.wait_until_ready("acme").await;
    let written = env.get_json(&["secret", "acme-box", "--show-managed-fields"]).await;
    assert_eq!(written["metadata"]["managedFields"][0]["manager"], "kubectl-boxsync");

    let second = env.secrets.add(acme.rotate_secret());
    let (second_out, second_err) = run_plugin_with_input(&env, &second, &["connect", "acme"]).await;
    assert!(second_out.contains("secret/acme-box updated\nacme: "), "{second_out}");
    env.secrets.assert_absent("the plugin's output", &format!("{out}{first_err}{second_out}{second_err}"));
    env.stop_and_verify(operator).await;
}

/// Grants access as a user in a browser: follows Box's page back to the plugin.
async fn grant_access(page: &str) -> String {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let browser = reqwest::Client::builder().no_proxy().build().expect("a browser");
    let granted = browser.post(page).header("content-type", "application/x-www-form-urlencoded").body("decision=grant");
    granted.send().await.expect("Box answers").text().await.expect("a page")
}

/// Runs `connect` for OAuth 2.0 and opens the authorization URL that it prints.
async fn run_plugin_granting_access(env: &E2eEnv, input: &str, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(PLUGIN);
    command.arg("--kubeconfig").arg(env.admin_kubeconfig()).args(["--namespace", &env.namespace]).args(args);
    command.args(["--box-api-url", &env.box_url(), "--box-account-url", &env.box_url()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (input, (page_sender, page)) = (input.to_owned(), tokio::sync::oneshot::channel());
    let plugin = tokio::task::spawn_blocking(move || {
        let mut plugin = command.spawn().expect("the plugin starts");
        plugin.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()).ok());
        let mut stdout = String::new();
        let mut out = BufReader::new(plugin.stdout.take().expect("piped"));
        while !stdout.contains("/api/oauth2/authorize?") && out.read_line(&mut stdout).expect("text") > 0 {}
        let page =
            stdout.lines().find(|line| line.contains("/api/oauth2/authorize?")).map(|line| line.trim().to_owned());
        page_sender.send(page).expect("receiver dropped");
        out.read_to_string(&mut stdout).expect("text");
        let ended = plugin.wait_with_output().expect("wait for plugin");
        (ended.status.code().unwrap_or(-1), stdout, String::from_utf8_lossy(&ended.stderr).into_owned())
    });
    if let Some(page) = page.await.expect("plugin task ended") {
        let answer = grant_access(&page).await;
        assert!(answer.contains("Access was granted"), "{answer}");
    }
    plugin.await.expect("no panic")
}

#[tokio::test]
async fn connect_authorizes_through_boxs_page_and_again_after_revocation() {
    let env = E2eEnv::with_oauth("connect by oauth").await;
    let spec = EnterpriseConfig::new("1001").name("Acme").users(1_200).auth(AuthMethod::Oauth2);
    let acme = env.sim.add_enterprise(spec);
    let operator = env.start_operator_with(&env.operator_settings().flag("--oauth", "true"));
    let (id, secret) = (acme.client_id(), env.secrets.add(acme.client_secret()));
    let new = ["connect", "acme", "--method", "oauth2", "--enterprise-id", "1001", "--client-id", &id, "--yes"];
    let (code, out, err) = run_plugin_granting_access(&env, &secret, &new).await;
    assert_eq!(code, 0, "{out}\n{err}");
    assert!(out.contains("1,200 users"), "{out}");
    let connection = env.wait_until_ready("acme").await;
    let ends = connection.status.and_then(|s| s.authorization).expect("has an expiration time").expiration_time.0;
    assert!(ends > jiff::Timestamp::now() + std::time::Duration::from_secs(59 * 86_400), "{ends}");

    acme.revoke_user_access();
    let failed = env.run_request("acme").await;
    assert_eq!(expect_condition(request_conditions(&failed), "Failed").1, "AuthorizationExpired");
    let (code, second_out, err) = run_plugin_granting_access(&env, "", &["connect", "acme"]).await;
    assert_eq!(code, 0, "{second_out}\n{err}");
    assert!(second_out.contains("secret/acme-box updated"), "{second_out}");
    env.wait_until_ready("acme").await;
    env.secrets.assert_absent("the plugin's output", &format!("{out}{second_out}{err}"));
    env.stop_and_verify(operator).await;
}
