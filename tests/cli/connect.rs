//! `connect`: from a person to Box, into the Secret, and on to the operator.

use std::{collections::HashMap, time::Duration};

use box_sim::{Auth, Behaviour, Endpoint, KeyFormat};
use boxsync::api::{BoxConnection, UserSyncRequest};
use kube::ResourceExt;
use kube_sim::{Fault, Trouble, Verb};
use serde_json::json;

use crate::{
    grant::{City, decide, http, press},
    town::{At, NAMESPACE, Said, TERMINAL, condition, counts},
};

/// Nothing that was said gives away any of this.
#[track_caller]
fn hides<'a>(said: &Said, secrets: impl IntoIterator<Item = &'a String>) {
    for secret in secrets {
        assert!(!said.out.contains(secret) && !said.err.contains(secret), "{secret} in {} {}", said.out, said.err);
    }
}

fn strings<const N: usize>(pairs: [(&str, String); N]) -> HashMap<String, String> {
    pairs.map(|(key, value)| (key.to_owned(), value)).into()
}

/// An OAuth app whose Secret is there, and a connection by it.
async fn connected_before() -> City {
    let city = City::new(Auth::Oauth2).await;
    city.connection("oauth2");
    city.kept(
        json!({ "clientId": city.it.client_id(), "clientSecret": city.it.client_secret(), "refreshToken": "spent",
        "note": "kept" }),
    );
    city
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_grant_ends_in_the_secret() {
    let city = City::new(Auth::Oauth2).await;
    city.connection("oauth2");
    let line = format!("connect acme --client-id {} --no-sync", city.it.client_id());
    let (said, seen) = city.ask_with(&city.it.client_secret(), &line, |page| decide(page, "grant")).await;
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
    assert!(seen.status == 200 && seen.text.contains("Access was granted"), "{seen:?}");
    let expected = strings([
        ("clientId", city.it.client_id()),
        ("clientSecret", city.it.client_secret()),
        ("refreshToken", city.it.refresh_token().expect("a grant")),
    ]);
    assert_eq!(city.secret(), expected);
    assert!(
        said.out.contains("Box: admin@1001.example of enterprise 1001 (Acme)\nsecret/acme-box created\n"),
        "{}",
        said.out
    );
    assert!(said.out.contains("redirect URI http://127.0.0.1/callback "), "{}", said.out);
    hides(&said, [&expected["clientSecret"], &expected["refreshToken"]]);
    let token = city.it.seen().into_iter().find(|call| call.endpoint == Endpoint::Token).expect("a call");
    let form = ["grant_type", "code", "client_id", "client_secret", "redirect_uri", "code_verifier"];
    assert_eq!(token.form, form);
    assert!(city.town.kube.list("UserSyncRequest").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconnect_takes_the_app_from_the_secret_and_shows_the_sync_that_follows() {
    let city = connected_before().await;
    let operator = async {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            for request in city.town.kube.objects::<UserSyncRequest>().iter().filter(|request| !request.finished()) {
                let done = json!({ "observedGeneration": 1, "phase": "Succeeded", "users": counts(3), "added": 3, "updated": 0,
                    "removed": 0, "revision": 1, "conditions": [condition("Complete", "True", "Synced", "Done.")] });
                city.town.kube.edit("UserSyncRequest", NAMESPACE, &request.name_any(), |r| r["status"] = done);
            }
        }
    };
    let (said, _) = tokio::select! {
        said = city.ask_with("", "connect acme", |page| decide(page, "grant")) => said,
        () = operator => unreachable!("an operator never ends"),
    };
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("secret/acme-box updated\n"), "{}", said.out);
    assert!(said.out.ends_with("acme: 3 added · 0 updated · 0 removed · 3 users · revision 1\n"), "{}", said.out);
    let secret = city.secret();
    assert_eq!(Some(&secret["refreshToken"]), city.it.refresh_token().as_ref());
    assert_eq!(secret["note"], "kept");
    let kept = city.town.kube.get("Secret", NAMESPACE, "acme-box").expect("a Secret");
    assert_eq!(kept["metadata"]["labels"], json!({ "team": "backup" }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_denies_access_changes_nothing() {
    let city = connected_before().await;
    let (said, seen) = city.ask_with("", "connect acme", |page| decide(page, "deny")).await;
    assert_eq!(said.code, 1);
    assert_eq!(
        said.err,
        "error: access was not granted (\"The user denied access to your application\"). Nothing was written.\n"
    );
    assert!(seen.text.contains("Access was not granted"), "{seen:?}");
    assert_eq!(city.secret()["refreshToken"], "spent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_answer_to_this_question_is_taken_and_all_else_waited_past() {
    let city = connected_before().await;
    let (said, turned_away) = city
        .ask_with("", "connect acme --no-sync", |page| {
            let right = press(page, "grant");
            let (base, query) = right.split_once('?').expect("a query");
            let wrong = query.replace("state=", "state=x");
            let root = base.trim_end_matches("callback");
            let asked = [
                ("GET", format!("{root}favicon.ico")),
                ("GET", base.to_owned()),
                ("GET", format!("{base}?{wrong}")),
                ("GET", format!("{base}?error=access_denied&state=x")),
                ("POST", right.clone()),
            ];
            // A browser opens connections that it does not use.
            let host = root.trim_start_matches("http://").trim_end_matches('/').to_owned();
            let _unused = std::net::TcpStream::connect(host).expect("it listens");
            let seen = asked.map(|(method, url)| http(method, &url, "").status);
            http("GET", &right, "");
            seen
        })
        .await;
    assert_eq!(turned_away, [404, 400, 400, 400, 404]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(Some(&city.secret()["refreshToken"]), city.it.refresh_token().as_ref());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_came_too_late_is_told_with_the_way_to_another() {
    let city = connected_before().await;
    let clock = city.box_clock.clone();
    let (said, _) = city
        .ask_with("", "connect acme", move |page| {
            let back = press(page, "grant");
            clock.advance(Duration::from_secs(31));
            http("GET", &back, "")
        })
        .await;
    assert_eq!(said.code, 1);
    assert!(said.err.contains("\"The authorization code has expired\""), "{}", said.err);
    assert!(
        said.err.contains("run kubectl boxsync connect acme -n backup again. Nothing was written."),
        "{}",
        said.err
    );
    assert_eq!(city.secret()["refreshToken"], "spent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_of_another_enterprise_is_refused_and_nothing_is_written() {
    let city = connected_before().await;
    city.it.behave(Behaviour::OtherEnterprise);
    let (said, _) = city.ask_with("", "connect acme", |page| decide(page, "grant")).await;
    assert_eq!(said.code, 1);
    assert!(
        said.err.starts_with(
            "error: Box answers for admin@1001.example, of enterprise 999999 (Somebody Else), and acme is for enterprise 1001. Nothing was written."
        ),
        "{}",
        said.err
    );
    assert_eq!(city.secret()["refreshToken"], "spent");
    assert!(city.town.kube.list("UserSyncRequest").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_nobody_gives_ends_with_the_time() {
    let city = connected_before().await;
    let said = city.ask("", "connect acme --timeout 1s").await;
    assert_eq!(said.code, 5);
    assert!(said.err.starts_with("error: nobody has granted access in time. Nothing was written."), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_browser_the_address_is_pasted() {
    let city = connected_before().await;
    let said = city.ask_pasting("connect acme --no-browser --no-sync", |page| press(page, "grant")).await;
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback&"), "{}", said.out);
    assert_eq!(Some(&city.secret()["refreshToken"]), city.it.refresh_token().as_ref());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pasted_has_to_be_the_answer_to_this_question() {
    let city = connected_before().await;
    let old = |page: &str| press(page, "grant").replace("state=", "state=x");
    let bare = |page: &str| press(page, "grant").split_once("code=").expect("a code").1[..32].to_owned();
    let nothing = |_: &str| String::new();
    for said in [
        city.ask_pasting("connect acme --no-browser", old).await,
        city.ask_pasting("connect acme --no-browser", bare).await,
        city.ask_pasting("connect acme --no-browser", nothing).await,
    ] {
        assert_eq!(said.code, 1);
        assert!(said.err.contains("is no answer to this question"), "{}", said.err);
    }
    assert_eq!((city.secret()["refreshToken"].as_str(), city.it.calls().of(Endpoint::Token)), ("spent", 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_somebody_else_writes_too_keeps_what_both_wrote() {
    let city = connected_before().await;
    let clash = Fault::Before(Trouble::Status(409));
    city.town.kube.fail_next(2, |call| call.is(Verb::Update, "secrets"), clash);
    let (said, _) = city.ask_with("", "connect acme --no-sync", |page| decide(page, "grant")).await;
    assert_eq!(said.code, 0, "{}", said.err);
    let secret = city.secret();
    assert_eq!((Some(&secret["refreshToken"]), secret["note"].as_str()), (city.it.refresh_token().as_ref(), "kept"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_others_keep_is_warned_of_and_an_immutable_one_refused_before_anything_is_asked() {
    let city = connected_before().await;
    city.town.kube.edit("Secret", NAMESPACE, "acme-box", |s| {
        s["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"] = "apps".into();
    });
    let (said, _) = city.ask_with("", "connect acme --no-sync", |page| decide(page, "grant")).await;
    assert_eq!(said.code, 0);
    assert!(
        said.err.starts_with("warning: Secret acme-box looks kept by Flux (label kustomize.toolkit.fluxcd.io/name): what is written here will be overwritten."),
        "{}",
        said.err
    );
    city.town.kube.edit("Secret", NAMESPACE, "acme-box", |s| s["immutable"] = true.into());
    let said = city.ask("", "connect acme").await;
    assert_eq!((said.code, said.out.as_str()), (8, ""));
    assert!(said.err.contains("Secret acme-box is immutable."), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_connection_gets_its_credentials_and_no_sync() {
    let city = connected_before().await;
    city.town.kube.edit("BoxConnection", NAMESPACE, "acme", |c| c["spec"]["suspend"] = true.into());
    let (said, _) = city.ask_with("", "connect acme", |page| decide(page, "grant")).await;
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("\nacme is suspended: no sync was asked for."), "{}", said.out);
    assert_ne!(city.secret()["refreshToken"], "spent");
    assert!(city.town.kube.list("UserSyncRequest").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_credentials_are_tried_and_then_make_a_connection() {
    let city = City::new(Auth::ClientCredentials).await;
    let line = format!(
        "connect acme --method client-credentials --enterprise-id 1001 --client-id {} --yes --no-sync",
        city.it.client_id()
    );
    let wrong = city.ask("a-wrong-secret\n", &line).await;
    assert_eq!(wrong.code, 1);
    assert!(
        wrong.err.contains("The client credentials are invalid") && wrong.err.ends_with("Nothing was written.\n"),
        "{}",
        wrong.err
    );
    assert!(city.secret().is_empty() && city.town.kube.list("BoxConnection").is_empty());

    let said = city.ask(&format!("{}\n", city.it.client_secret()), &line).await;
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("enterpriseId: \"1001\""), "what is created is shown: {}", said.out);
    assert!(said.out.ends_with("secret/acme-box created\nboxconnection.boxsync.dev/acme created\n"), "{}", said.out);
    hides(&said, [&city.it.client_secret()]);
    let expected = strings([("clientId", city.it.client_id()), ("clientSecret", city.it.client_secret())]);
    assert_eq!(city.secret(), expected);
    let connection = city.town.kube.get("BoxConnection", NAMESPACE, "acme").expect("a connection");
    let spec: BoxConnection = serde_json::from_value(connection).expect("a BoxConnection");
    assert_eq!(spec.spec.auth.chosen().map(|(_, secret)| secret), Some("acme-box"));

    let rotated = city.it.rotate_secret();
    let again = city.ask(&rotated, "connect acme --no-sync").await;
    assert_eq!((again.code, &city.secret()["clientSecret"]), (0, &rotated), "{}", again.err);
    let other = city.ask("", "connect acme --client-id other --no-sync").await;
    assert!(other.code == 64 && other.err.contains("no client secret was given."), "{}", other.err);
    let same = city.ask("", "connect acme --no-sync").await;
    assert!(same.code == 0 && same.out.ends_with("secret/acme-box unchanged\n"), "{} {}", same.out, same.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_file_is_tried_and_then_makes_a_connection_that_was_agreed_to() {
    let city = City::new(Auth::Jwt).await;
    let file = city.it.config_json(KeyFormat::Pkcs8TripleDes).expect("a file");
    let line = "connect acme --method jwt --enterprise-id 1001 --config - --no-sync";
    let no = city.ask_at(At { types: &format!("n\n{file}"), ..TERMINAL }, line).await;
    assert!(
        no.code == 1 && no.out.ends_with("Create BoxConnection acme for enterprise 1001? [y/N] Nothing was created.\n"),
        "{}",
        no.out
    );
    let nobody = city.ask(&file, line).await;
    assert!(nobody.code == 1 && nobody.err.contains("nobody is here to be asked"), "{}", nobody.err);
    assert!(city.secret().is_empty() && city.town.kube.list("BoxConnection").is_empty());

    let yes = city.ask_at(At { types: &format!("y\n{file}"), ..TERMINAL }, line).await;
    assert_eq!(yes.code, 0, "{}", yes.err);
    assert_eq!(city.secret(), strings([("config.json", file)]));
    assert!(yes.out.contains("Box: AutomationUser_"), "{}", yes.out);
    assert_eq!(city.town.kube.list("BoxConnection").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_file_that_cannot_be_right_is_refused_without_a_call() {
    let city = City::new(Auth::Jwt).await;
    city.connection("jwt");
    let file = city.it.config_json(KeyFormat::Pkcs8TripleDes).expect("a file");
    for (given, words) in [
        (
            file.replace("\"1001\"", "\"2002\""),
            "the configuration file is of enterprise 2002, and acme is for enterprise 1001.",
        ),
        ("{}".to_owned(), "what was given cannot be used. The configuration file of the app"),
        (String::new(), "is empty"),
    ] {
        let said = city.ask(&given, "connect acme --config -").await;
        assert!(
            said.code == 1 && said.err.contains(words) && said.err.contains("Nothing was written."),
            "{}",
            said.err
        );
    }
    assert!(city.secret().is_empty() && city.it.calls().total() == 0);
    let unchecked = city.ask(&file, "connect acme --config - --no-check --no-sync").await;
    assert_eq!((unchecked.code, city.it.calls().total(), city.secret().len()), (0, 0, 1), "{}", unchecked.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_or_does_not_fit_is_told_before_anything_is_asked() {
    let city = City::new(Auth::Oauth2).await;
    for (line, words) in [
        ("connect acme", "there is no BoxConnection acme in namespace backup."),
        ("connect acme", "To create it, pass --method and --enterprise-id."),
        ("connect acme --method jwt", "a new one needs both --method and --enterprise-id."),
    ] {
        let said = city.ask("", line).await;
        assert!(said.err.contains(words) && said.out.is_empty(), "{line}: {}", said.err);
    }
    city.connection("oauth2");
    for (line, words) in [
        ("connect acme", "Secret acme-box has no clientId yet. Pass --client-id"),
        ("connect acme --client-id x", "no client secret was given."),
        ("connect acme --method jwt", "is there already, and signs in by oauth2."),
        ("connect acme --enterprise-id 1002", "is there already, and is for enterprise 1001."),
        ("connect acme --config x", "signs in by oauth2, and --config is not for that."),
        ("connect acme --no-check", "signs in by oauth2, and --no-check is not for that."),
    ] {
        let said = city.ask("", line).await;
        assert!(said.code == 64 && said.err.contains(words), "{line}: {} {}", said.code, said.err);
    }
    assert!(city.secret().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_right_to_secrets_is_named() {
    let city = connected_before().await;
    for (verb, word) in [(Verb::Get, "get"), (Verb::Update, "update")] {
        city.town.kube.forbid(move |call| call.is(verb, "secrets") && call.user == "somebody");
        let said = match verb {
            Verb::Get => city.ask("", "connect acme").await,
            _ => city.ask_with("", "connect acme", |page| decide(page, "grant")).await.0,
        };
        let expected =
            format!("error: you lack the right to {word} secrets in namespace backup: ask a cluster admin for it.\n");
        assert_eq!((said.code, said.err), (8, expected));
        city.town.kube.clear_faults();
    }
}
