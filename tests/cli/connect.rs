//! `connect`: credentials are verified with Box, written into the Secret, and used for a sync.

use std::{collections::HashMap, time::Duration};

use box_sim::{AuthMethod, Behaviour, Endpoint, KeyFormat};
use boxsync::api::{BoxConnection, UserSyncRequest};
use kube::ResourceExt;
use kube_sim::{Fault, FaultAction, Verb};
use serde_json::json;

use crate::{
    env::{CliOutput, NAMESPACE, TERMINAL, TestIo, condition_json, user_counts},
    oauth_env::{ConnectEnv, follow_decision, send_http, submit_decision},
};

/// Asserts that the output contains none of the secrets.
#[track_caller]
fn assert_hides_secrets<'a>(output: &CliOutput, secrets: impl IntoIterator<Item = &'a String>) {
    for secret in secrets {
        assert!(
            !output.out.contains(secret) && !output.err.contains(secret),
            "{secret} in {} {}",
            output.out,
            output.err
        );
    }
}

fn string_map<const N: usize>(pairs: [(&str, String); N]) -> HashMap<String, String> {
    pairs.map(|(key, value)| (key.to_owned(), value)).into()
}

/// A connection with OAuth 2.0 whose Secret has a spent refresh token.
async fn env_with_used_token() -> ConnectEnv {
    let env = ConnectEnv::new(AuthMethod::Oauth2).await;
    env.create_connection_with_auth("oauth2");
    env.create_secret(
        json!({ "clientId": env.enterprise.client_id(), "clientSecret": env.enterprise.client_secret(), "refreshToken": "spent",
        "note": "kept" }),
    );
    env
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_authorization_is_written_to_the_secret() {
    let env = ConnectEnv::new(AuthMethod::Oauth2).await;
    env.create_connection_with_auth("oauth2");
    let line = format!("connect acme --client-id {} --no-sync", env.enterprise.client_id());
    let (output, response) =
        env.run_with_browser(&env.enterprise.client_secret(), &line, |page| follow_decision(page, "grant")).await;
    assert_eq!((output.code, output.err.as_str()), (0, ""), "{}", output.out);
    assert!(response.status == 200 && response.text.contains("Access was granted"), "{response:?}");
    let expected = string_map([
        ("clientId", env.enterprise.client_id()),
        ("clientSecret", env.enterprise.client_secret()),
        ("refreshToken", env.enterprise.refresh_token().expect("a grant")),
    ]);
    assert_eq!(env.secret_data(), expected);
    assert!(
        output.out.contains("Box: admin@1001.example of enterprise 1001 (Acme)\nsecret/acme-box created\n"),
        "{}",
        output.out
    );
    assert!(output.out.contains("redirect URI http://127.0.0.1/callback "), "{}", output.out);
    assert_hides_secrets(&output, [&expected["clientSecret"], &expected["refreshToken"]]);
    let token =
        env.enterprise.recent_calls().into_iter().find(|call| call.endpoint == Endpoint::Token).expect("a call");
    let form = ["grant_type", "code", "client_id", "client_secret", "redirect_uri", "code_verifier"];
    assert_eq!(token.form, form);
    assert!(env.cli.kube.list("UserSyncRequest").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconnect_reads_the_app_from_the_secret_and_shows_the_following_sync() {
    let env = env_with_used_token().await;
    let operator = async {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            for request in env.cli.kube.objects::<UserSyncRequest>().iter().filter(|request| !request.is_finished()) {
                let done = json!({ "observedGeneration": 1, "phase": "Succeeded", "users": user_counts(3), "added": 3, "updated": 0,
                    "removed": 0, "revision": 1, "conditions": [condition_json("Complete", "True", "Synced", "Done.")] });
                env.cli.kube.edit("UserSyncRequest", NAMESPACE, &request.name_any(), |r| r["status"] = done);
            }
        }
    };
    let (output, _) = tokio::select! {
        output = env.run_with_browser("", "connect acme", |page| follow_decision(page, "grant")) => output,
        () = operator => unreachable!("an operator never ends"),
    };
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(output.out.contains("secret/acme-box updated\n"), "{}", output.out);
    assert!(output.out.ends_with("acme: 3 added · 0 updated · 0 removed · 3 users · revision 1\n"), "{}", output.out);
    let secret = env.secret_data();
    assert_eq!(Some(&secret["refreshToken"]), env.enterprise.refresh_token().as_ref());
    assert_eq!(secret["note"], "kept");
    let secret_object = env.cli.kube.get("Secret", NAMESPACE, "acme-box").expect("a Secret");
    assert_eq!(secret_object["metadata"]["labels"], json!({ "team": "backup" }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_denies_access_changes_nothing() {
    let env = env_with_used_token().await;
    let (output, response) = env.run_with_browser("", "connect acme", |page| follow_decision(page, "deny")).await;
    assert_eq!(output.code, 1);
    assert_eq!(
        output.err,
        "error: access was not granted (\"The user denied access to your application\"). Nothing was written.\n"
    );
    assert!(response.text.contains("Access was not granted"), "{response:?}");
    assert_eq!(env.secret_data()["refreshToken"], "spent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_response_with_the_right_state_is_accepted() {
    let env = env_with_used_token().await;
    let (output, statuses) = env
        .run_with_browser("", "connect acme --no-sync", |page| {
            let right = submit_decision(page, "grant");
            let (base, query) = right.split_once('?').expect("a query");
            let wrong = query.replace("state=", "state=x");
            let root = base.trim_end_matches("callback");
            let requests = [
                ("GET", format!("{root}favicon.ico")),
                ("GET", base.to_owned()),
                ("GET", format!("{base}?{wrong}")),
                ("GET", format!("{base}?error=access_denied&state=x")),
                ("POST", right.clone()),
            ];
            // A browser may open connections that it does not use.
            let host = root.trim_start_matches("http://").trim_end_matches('/').to_owned();
            let _unused = std::net::TcpStream::connect(host).expect("it listens");
            let statuses = requests.map(|(method, url)| send_http(method, &url, "").status);
            send_http("GET", &right, "");
            statuses
        })
        .await;
    assert_eq!(statuses, [404, 400, 400, 400, 404]);
    assert_eq!(output.code, 0, "{}", output.err);
    assert_eq!(Some(&env.secret_data()["refreshToken"]), env.enterprise.refresh_token().as_ref());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_code_is_reported_with_how_to_retry() {
    let env = env_with_used_token().await;
    let clock = env.box_clock.clone();
    let (output, _) = env
        .run_with_browser("", "connect acme", move |page| {
            let back = submit_decision(page, "grant");
            clock.advance(Duration::from_secs(31));
            send_http("GET", &back, "")
        })
        .await;
    assert_eq!(output.code, 1);
    assert!(output.err.contains("\"The authorization code has expired\""), "{}", output.err);
    let advice = "Run kubectl boxsync connect acme -n backup again. Nothing was written.";
    assert!(output.err.contains(advice), "{}", output.err);
    assert_eq!(env.secret_data()["refreshToken"], "spent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_of_another_enterprise_is_refused_and_nothing_is_written() {
    let env = env_with_used_token().await;
    env.enterprise.enable_behaviour(Behaviour::OtherEnterprise);
    let (output, _) = env.run_with_browser("", "connect acme", |page| follow_decision(page, "grant")).await;
    assert_eq!(output.code, 1);
    assert!(
        output.err.starts_with(
            "error: The credentials belong to enterprise 999999 (Somebody Else), not enterprise 1001. An admin or co-admin of enterprise 1001 must authorize the app"
        ) && output.err.ends_with("Nothing was written.\n"),
        "{}",
        output.err
    );
    assert_eq!(env.secret_data()["refreshToken"], "spent");
    assert!(env.cli.kube.list("UserSyncRequest").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connect_times_out_without_an_authorization() {
    let env = env_with_used_token().await;
    let output = env.run_with_input("", "connect acme --timeout 1s").await;
    assert_eq!(output.code, 5);
    assert!(
        output.err.starts_with("error: timed out waiting for access to be granted. Nothing was written."),
        "{}",
        output.err
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_browser_the_address_is_pasted() {
    let env = env_with_used_token().await;
    let output = env.run_pasting("connect acme --no-browser --no-sync", |page| submit_decision(page, "grant")).await;
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(output.out.contains("redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback&"), "{}", output.out);
    assert_eq!(Some(&env.secret_data()["refreshToken"]), env.enterprise.refresh_token().as_ref());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pasted_response_with_a_wrong_state_is_rejected() {
    let env = env_with_used_token().await;
    let old = |page: &str| submit_decision(page, "grant").replace("state=", "state=x");
    let bare = |page: &str| submit_decision(page, "grant").split_once("code=").expect("a code").1[..32].to_owned();
    let nothing = |_: &str| String::new();
    for output in [
        env.run_pasting("connect acme --no-browser", old).await,
        env.run_pasting("connect acme --no-browser", bare).await,
        env.run_pasting("connect acme --no-browser", nothing).await,
    ] {
        assert_eq!(output.code, 1);
        assert!(output.err.contains("does not match this sign-in attempt"), "{}", output.err);
    }
    assert_eq!(
        (env.secret_data()["refreshToken"].as_str(), env.enterprise.call_counts().for_endpoint(Endpoint::Token)),
        ("spent", 0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_conflicts_on_the_secret_are_retried_and_other_keys_kept() {
    let env = env_with_used_token().await;
    let clash = Fault::Before(FaultAction::Status(409));
    env.cli.kube.fail_next(2, |call| call.matches(Verb::Update, "secrets"), clash);
    let (output, _) = env.run_with_browser("", "connect acme --no-sync", |page| follow_decision(page, "grant")).await;
    assert_eq!(output.code, 0, "{}", output.err);
    let secret = env.secret_data();
    assert_eq!(
        (Some(&secret["refreshToken"]), secret["note"].as_str()),
        (env.enterprise.refresh_token().as_ref(), "kept")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gitops_managed_secret_gets_a_warning_and_an_immutable_one_is_rejected() {
    let env = env_with_used_token().await;
    env.cli.kube.edit("Secret", NAMESPACE, "acme-box", |s| {
        s["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"] = "apps".into();
    });
    let (output, _) = env.run_with_browser("", "connect acme --no-sync", |page| follow_decision(page, "grant")).await;
    assert_eq!(output.code, 0);
    assert!(
        output.err.starts_with("warning: Secret acme-box appears to be managed by Flux (label kustomize.toolkit.fluxcd.io/name), which will overwrite it."),
        "{}",
        output.err
    );
    env.cli.kube.edit("Secret", NAMESPACE, "acme-box", |s| s["immutable"] = true.into());
    let output = env.run_with_input("", "connect acme").await;
    assert_eq!((output.code, output.out.as_str()), (8, ""));
    assert!(output.err.contains("Secret acme-box is immutable."), "{}", output.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_connection_gets_its_credentials_and_no_sync() {
    let env = env_with_used_token().await;
    env.cli.kube.edit("BoxConnection", NAMESPACE, "acme", |c| c["spec"]["suspend"] = true.into());
    let (output, _) = env.run_with_browser("", "connect acme", |page| follow_decision(page, "grant")).await;
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(output.out.contains("\nacme is suspended: no sync was requested."), "{}", output.out);
    assert_ne!(env.secret_data()["refreshToken"], "spent");
    assert!(env.cli.kube.list("UserSyncRequest").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_credentials_are_verified_before_the_connection_is_created() {
    let env = ConnectEnv::new(AuthMethod::ClientCredentials).await;
    let line = format!(
        "connect acme --method client-credentials --enterprise-id 1001 --client-id {} --yes --no-sync",
        env.enterprise.client_id()
    );
    let wrong = env.run_with_input("a-wrong-secret\n", &line).await;
    assert_eq!(wrong.code, 1);
    assert!(
        wrong.err.contains("The client credentials are invalid") && wrong.err.ends_with("Nothing was written.\n"),
        "{}",
        wrong.err
    );
    assert!(env.secret_data().is_empty() && env.cli.kube.list("BoxConnection").is_empty());

    let output = env.run_with_input(&format!("{}\n", env.enterprise.client_secret()), &line).await;
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(output.out.contains("enterpriseId: \"1001\""), "what is created is shown: {}", output.out);
    assert!(
        output.out.ends_with("secret/acme-box created\nboxconnection.boxsync.dev/acme created\n"),
        "{}",
        output.out
    );
    assert_hides_secrets(&output, [&env.enterprise.client_secret()]);
    let expected =
        string_map([("clientId", env.enterprise.client_id()), ("clientSecret", env.enterprise.client_secret())]);
    assert_eq!(env.secret_data(), expected);
    let connection = env.cli.kube.get("BoxConnection", NAMESPACE, "acme").expect("a connection");
    let spec: BoxConnection = serde_json::from_value(connection).expect("a BoxConnection");
    assert_eq!(spec.spec.auth.selected_method().map(|(_, secret)| secret), Some("acme-box"));

    let new_secret = env.enterprise.rotate_secret();
    let rotated_output = env.run_with_input(&new_secret, "connect acme --no-sync").await;
    assert_eq!((rotated_output.code, &env.secret_data()["clientSecret"]), (0, &new_secret), "{}", rotated_output.err);
    let other = env.run_with_input("", "connect acme --client-id other --no-sync").await;
    assert!(other.code == 64 && other.err.contains("no client secret was given."), "{}", other.err);
    let same = env.run_with_input("", "connect acme --no-sync").await;
    assert!(same.code == 0 && same.out.ends_with("secret/acme-box unchanged\n"), "{} {}", same.out, same.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_config_file_is_verified_and_the_connection_created_after_confirmation() {
    let env = ConnectEnv::new(AuthMethod::Jwt).await;
    let file = env.enterprise.config_json(KeyFormat::Pkcs8TripleDes).expect("a file");
    let line = "connect acme --method jwt --enterprise-id 1001 --config - --no-sync";
    let declined = env.run_with_io(TestIo { input: &format!("n\n{file}"), ..TERMINAL }, line).await;
    assert!(
        declined.code == 1
            && declined.out.ends_with("Create BoxConnection acme for enterprise 1001? [y/N] Nothing was created.\n"),
        "{}",
        declined.out
    );
    let non_interactive = env.run_with_input(&file, line).await;
    assert!(
        non_interactive.code == 1 && non_interactive.err.contains("not a terminal: pass --yes"),
        "{}",
        non_interactive.err
    );
    assert!(env.secret_data().is_empty() && env.cli.kube.list("BoxConnection").is_empty());

    let confirmed = env.run_with_io(TestIo { input: &format!("y\n{file}"), ..TERMINAL }, line).await;
    assert_eq!(confirmed.code, 0, "{}", confirmed.err);
    assert_eq!(env.secret_data(), string_map([("config.json", file)]));
    assert!(confirmed.out.contains("Box: AutomationUser_"), "{}", confirmed.out);
    assert_eq!(env.cli.kube.list("BoxConnection").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_config_file_is_rejected_without_a_box_call() {
    let env = ConnectEnv::new(AuthMethod::Jwt).await;
    env.create_connection_with_auth("jwt");
    let file = env.enterprise.config_json(KeyFormat::Pkcs8TripleDes).expect("a file");
    for (config, words) in [
        (file.replace("\"1001\"", "\"2002\""), "The credentials belong to enterprise 2002, not enterprise 1001."),
        ("{}".to_owned(), "the given credentials are malformed. The configuration file of the app"),
        (String::new(), "is empty"),
    ] {
        let output = env.run_with_input(&config, "connect acme --config -").await;
        assert!(
            output.code == 1 && output.err.contains(words) && output.err.contains("Nothing was written."),
            "{}",
            output.err
        );
    }
    assert!(env.secret_data().is_empty() && env.enterprise.call_counts().total() == 0);
    let unchecked = env.run_with_input(&file, "connect acme --config - --no-check --no-sync").await;
    assert_eq!(
        (unchecked.code, env.enterprise.call_counts().total(), env.secret_data().len()),
        (0, 0, 1),
        "{}",
        unchecked.err
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_or_conflicting_flags_are_reported_before_any_prompt() {
    let env = ConnectEnv::new(AuthMethod::Oauth2).await;
    for (line, words) in [
        ("connect acme", "there is no BoxConnection acme in namespace backup."),
        ("connect acme", "To create it, pass --method and --enterprise-id."),
        ("connect acme --method jwt", "creating one requires both --method and --enterprise-id."),
    ] {
        let output = env.run_with_input("", line).await;
        assert!(output.err.contains(words) && output.out.is_empty(), "{line}: {}", output.err);
    }
    env.create_connection_with_auth("oauth2");
    for (line, words) in [
        ("connect acme", "Secret acme-box has no clientId yet. Pass --client-id"),
        ("connect acme --client-id x", "no client secret was given."),
        ("connect acme --method jwt", "already exists and signs in with oauth2."),
        ("connect acme --enterprise-id 1002", "already exists for enterprise 1001."),
        ("connect acme --config x", "signs in with oauth2; --config does not apply."),
        ("connect acme --no-check", "signs in with oauth2; --no-check does not apply."),
    ] {
        let output = env.run_with_input("", line).await;
        assert!(output.code == 64 && output.err.contains(words), "{line}: {} {}", output.code, output.err);
    }
    assert!(env.secret_data().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_permission_on_secrets_is_named() {
    let env = env_with_used_token().await;
    for (verb, word) in [(Verb::Get, "get"), (Verb::Update, "update")] {
        env.cli.kube.forbid(move |call| call.matches(verb, "secrets") && call.user == "alice");
        let output = match verb {
            Verb::Get => env.run_with_input("", "connect acme").await,
            _ => env.run_with_browser("", "connect acme", |page| follow_decision(page, "grant")).await.0,
        };
        let what = format!("error: you are not allowed to {word} secrets in namespace backup");
        assert_eq!((output.code, output.err), (8, format!("{what}: ask a cluster admin for that permission.\n")));
        env.cli.kube.clear_faults();
    }
}
