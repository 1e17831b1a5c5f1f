//! Credential plugins.

use std::fs;

use serde_json::{Value, json};

use super::{Comparison, Fails, Lists, PLANTED};

const VERSION: &str = "client.authentication.k8s.io/v1";

fn credential(version: &str, status: Value) -> String {
    json!({"apiVersion": version, "kind": "ExecCredential", "status": status}).to_string()
}

/// A plugin that notes each run, and what it could read at standard input, in `runs`.
fn script(output: &str) -> String {
    format!("#!/bin/sh\necho run >>\"$RUNS\"\ncat >>\"$RUNS\"\nprintf '%s' '{output}'\n")
}

#[tokio::test]
async fn a_credential_plugin_is_run_as_kubectl_runs_it() {
    let mut both = Comparison::new("credential plugins").await;
    let runs = both.folder.join("runs").to_string_lossy().into_owned();
    let token = json!({"token": both.token});
    let expired = json!({"token": both.token, "expirationTimestamp": "2020-01-01T00:00:00Z"});
    let exec = |command: &str, args: &[&str], more: Value| {
        let mut exec = json!({
            "apiVersion": VERSION,
            "command": command,
            "args": args,
            "interactiveMode": "IfAvailable",
            "env": [{"name": "RUNS", "value": runs}, {"name": "SECRET", "value": PLANTED}],
        });
        exec.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        json!({"exec": exec})
    };
    let shell = |script: &str, more: Value| exec("sh", &["-c", script], more);
    let good = script(&credential(VERSION, token.clone()));
    let beta = "client.authentication.k8s.io/v1beta1";
    both.write("bin/plugin", &good);
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(both.folder.join("bin/plugin"), fs::Permissions::from_mode(0o755)).expect("a file");
    both.write("bin/plain", &good);

    for (case, user, runs_once, expected) in [
        ("a token", shell(&good, json!({})), true, Lists("one")),
        ("a token that has expired", shell(&script(&credential(VERSION, expired)), json!({})), true, Lists("one")),
        ("a command beside the kubeconfig", exec("./bin/plugin", &[], json!({})), true, Lists("one")),
        (
            "v1beta1 without interactiveMode",
            shell(&script(&credential(beta, token.clone())), json!({"apiVersion": beta, "interactiveMode": null})),
            true,
            Lists("one"),
        ),
        ("Never", shell(&good, json!({"interactiveMode": "Never"})), true, Lists("one")),
        (
            "the cluster",
            shell(
                &format!(
                    "printf '%s' \"$KUBERNETES_EXEC_INFO\" | grep -q '\"server\":\"{}\"' || exit 1; {}",
                    both.plane.url(),
                    good.replace("#!/bin/sh", "")
                ),
                json!({"provideClusterInfo": true}),
            ),
            true,
            Lists("one"),
        ),
        (
            "a failure",
            shell(
                "echo run >>\"$RUNS\"; echo \"session expired ($SECRET): run acme-login\" >&2; echo half-a-token; exit 255",
                json!({}),
            ),
            true,
            Fails("the credential plugin sh failed with exit code 255: session expired (…): run acme-login"),
        ),
        (
            "a signal",
            shell("echo run >>\"$RUNS\"; kill -9 $$", json!({})),
            true,
            Fails("the credential plugin sh ended by signal"),
        ),
        (
            "a missing command",
            exec("acme-auth", &[], json!({"installHint": "brew install acme\n\u{1b}[2Jnow"})),
            false,
            Fails("the credential plugin acme-auth was not found.\nbrew install acme\n�[2Jnow"),
        ),
        ("a file that is no program", exec("./bin/plain", &[], json!({})), false, Fails("cannot be run: ")),
        (
            "v1 without interactiveMode",
            shell(&good, json!({"interactiveMode": null})),
            false,
            Fails("needs interactiveMode"),
        ),
        (
            "Always without a terminal",
            shell(&good, json!({"interactiveMode": "Always"})),
            false,
            Fails("must ask at a terminal"),
        ),
        (
            "v1alpha1",
            shell(&good, json!({"apiVersion": "client.authentication.k8s.io/v1alpha1"})),
            false,
            Fails("needs apiVersion"),
        ),
        ("no command", exec("", &[], json!({})), false, Fails("has no command")),
        (
            "another version than asked for",
            shell(&script(&credential(beta, token.clone())), json!({})),
            true,
            Fails("of another version"),
        ),
        (
            "no JSON",
            shell(&format!("echo run >>\"$RUNS\"; echo {PLANTED}"), json!({})),
            true,
            Fails("printed no ExecCredential (line 1, column 1)"),
        ),
        ("no status", shell(&script(&credential(VERSION, json!(null))), json!({})), true, Fails("without status")),
        (
            "no token",
            shell(&script(&credential(VERSION, json!({}))), json!({})),
            true,
            Fails("neither a token nor a certificate"),
        ),
        (
            "half a pair",
            shell(&script(&credential(VERSION, json!({"clientKeyData": PLANTED}))), json!({})),
            true,
            Fails("a key without its certificate"),
        ),
        (
            "a wrong token",
            shell(&script(&credential(VERSION, json!({"token": PLANTED}))), json!({})),
            true,
            Fails("rejected your credentials"),
        ),
    ] {
        let file = both.write_kubeconfig("kubeconfig", &both.cluster(), &user);
        both.compare(case, &[("KUBECONFIG", &file)], &[], expected).await;
        // The second run is the plugin's, and nothing was read from standard input.
        fs::write(&runs, "").expect("a file");
        both.ask_plugin(&[("KUBECONFIG", &file)], &[]).await.ok();
        let noted = fs::read_to_string(&runs).expect("a file");
        assert_eq!(noted, if runs_once { "run\n" } else { "" }, "{case}");
    }
    let file = both.write_kubeconfig("kubeconfig", &both.cluster(), &shell(&good, json!({})));
    let token = both.token.clone();
    fs::write(&runs, "").expect("a file");
    both.compare("--token", &[("KUBECONFIG", &file)], &["--token", &token], Lists("one")).await;
    assert_eq!(fs::read_to_string(&runs).expect("a file"), "", "a token was given");
    both.finish();
}
