//! `kubectl boxsync connect` against the real API server: one command from a client secret to the first list.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use crate::stage::{Stage, acme};

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
