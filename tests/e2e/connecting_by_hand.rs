//! `kubectl boxsync connect` against the real API server: one command from a client secret to the first list.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Command, Stdio},
};

use box_sim::{Auth, EnterpriseSpec};

use crate::stage::{Stage, acme, condition, request_conditions};

/// `kubectl boxsync ARGS` with this on standard input: its exit code, and what it printed.
async fn typed(stage: &Stage, input: &str, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-boxsync"));
    command.arg("--kubeconfig").arg(stage.admin_kubeconfig()).args(["--namespace", &stage.namespace]).args(args);
    command.args(["--box-api-url", &stage.box_url()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let input = input.to_owned();
    let ended = tokio::task::spawn_blocking(move || {
        let mut plugin = command.spawn().expect("the plugin starts");
        // Dropped at once, so that the plugin sees the end of its input. One that needs none may have closed it.
        plugin.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()).ok());
        plugin.wait_with_output().expect("it ends")
    });
    let output = ended.await.expect("no panic");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn one_command_connects_an_enterprise_and_shows_its_first_list_and_so_does_it_with_a_new_secret() {
    let stage = Stage::begin("connect").await;
    let acme = acme(&stage.sim);
    let operator = stage.operator();
    let (id, first) = (acme.client_id(), stage.secrets.plant(acme.client_secret()));
    let new =
        ["connect", "acme", "--method", "client-credentials", "--enterprise-id", "1001", "--client-id", &id, "--yes"];
    let (code, out, err) = typed(&stage, &format!("{first}\n"), &new).await;
    assert_eq!(code, 0, "{out}\n{err}");
    for words in ["secret/acme-box created", "boxconnection.boxsync.dev/acme created", "1,200 users"] {
        assert!(out.contains(words), "no {words:?} in {out}");
    }
    stage.ready("acme").await;
    let written = stage.get(&["secret", "acme-box", "--show-managed-fields"]).await;
    assert_eq!(written["metadata"]["managedFields"][0]["manager"], "kubectl-boxsync");

    let second = stage.secrets.plant(acme.rotate_secret());
    let (code, again, err) = typed(&stage, &second, &["connect", "acme"]).await;
    assert_eq!(code, 0, "{again}\n{err}");
    assert!(again.contains("secret/acme-box updated\nacme: "), "{again}");
    stage.secrets.assert_absent("the plugin's output", &format!("{out}{again}{err}"));
    stage.end(operator).await;
}

/// Somebody in a browser who grants access: follows Box's page back to the plugin.
async fn grants(page: &str) -> String {
    rustls::crypto::ring::default_provider().install_default().ok();
    let browser = reqwest::Client::builder().no_proxy().build().expect("a browser");
    let granted = browser.post(page).header("content-type", "application/x-www-form-urlencoded").body("decision=grant");
    granted.send().await.expect("Box answers").text().await.expect("a page")
}

/// `connect` for OAuth 2.0, and the person who is led to Box's page by it.
async fn granted(stage: &Stage, input: &str, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-boxsync"));
    command.arg("--kubeconfig").arg(stage.admin_kubeconfig()).args(["--namespace", &stage.namespace]).args(args);
    command.args(["--box-api-url", &stage.box_url(), "--box-account-url", &stage.box_url()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (input, (tell, page)) = (input.to_owned(), tokio::sync::oneshot::channel());
    let plugin = tokio::task::spawn_blocking(move || {
        let mut plugin = command.spawn().expect("the plugin starts");
        plugin.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()).ok());
        let mut said = String::new();
        let mut out = BufReader::new(plugin.stdout.take().expect("piped"));
        while !said.contains("/api/oauth2/authorize?") && out.read_line(&mut said).expect("text") > 0 {}
        let page = said.lines().find(|line| line.contains("/api/oauth2/authorize?")).map(|line| line.trim().to_owned());
        tell.send(page).expect("somebody waits for it");
        out.read_to_string(&mut said).expect("text");
        let ended = plugin.wait_with_output().expect("it ends");
        (ended.status.code().unwrap_or(-1), said, String::from_utf8_lossy(&ended.stderr).into_owned())
    });
    if let Some(page) = page.await.expect("the plugin goes on") {
        let told = grants(&page).await;
        assert!(told.contains("Access was granted"), "{told}");
    }
    plugin.await.expect("no panic")
}

#[tokio::test]
async fn one_command_takes_a_user_through_boxs_page_to_the_first_list_and_again_when_the_authorization_is_lost() {
    let stage = Stage::with_oauth("connect by oauth").await;
    let spec = EnterpriseSpec::new("1001").named("Acme").users(1_200).auth(Auth::Oauth2);
    let acme = stage.sim.enterprise(spec);
    let operator = stage.start(&stage.settings().flag("--oauth", "true"));
    let (id, secret) = (acme.client_id(), stage.secrets.plant(acme.client_secret()));
    let new = ["connect", "acme", "--method", "oauth2", "--enterprise-id", "1001", "--client-id", &id, "--yes"];
    let (code, out, err) = granted(&stage, &secret, &new).await;
    assert_eq!(code, 0, "{out}\n{err}");
    assert!(out.contains("1,200 users"), "{out}");
    let connection = stage.ready("acme").await;
    let ends = connection.status.and_then(|s| s.authorization).expect("told").expiration_time.0;
    assert!(ends > jiff::Timestamp::now() + std::time::Duration::from_secs(59 * 86_400), "{ends}");

    acme.user_withdraws();
    let failed = stage.finished(&stage.ask("acme").await).await;
    assert_eq!(condition(request_conditions(&failed), "Failed").1, "AuthorizationExpired");
    let (code, again, err) = granted(&stage, "", &["connect", "acme"]).await;
    assert_eq!(code, 0, "{again}\n{err}");
    assert!(again.contains("secret/acme-box updated"), "{again}");
    stage.ready("acme").await;
    stage.secrets.assert_absent("the plugin's output", &format!("{out}{again}{err}"));
    stage.end(operator).await;
}
