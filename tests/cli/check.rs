//! `check`: each thing that a connection needs, fine, wrong and not to be looked at.

use std::{sync::Arc, time::Duration};

use box_sim::{Auth, Behaviour, BoxSim, Enterprise, EnterpriseSpec, KeyFormat, PASSPHRASE, Server};
use boxsync::api;
use kube_sim::{KubeSim, Resource, SimClock, Verb};
use serde_json::{Value, json};

use crate::town::{At, NAMESPACE, PIPE, Said, TERMINAL, Town, condition, ready};

/// The town, and the way from there to Box.
struct Street {
    town: Town,
    sim: BoxSim,
    acme: Enterprise,
    server: Option<Server>,
}

impl Street {
    async fn new(auth: Auth) -> Self {
        // As the program itself does.
        rustls::crypto::ring::default_provider().install_default().ok();
        let town = Town::new();
        let clock = SimClock::new(town.clock.now());
        let sim = BoxSim::new(Arc::new(move || clock.now()));
        let acme = sim.enterprise(EnterpriseSpec { auth, ..EnterpriseSpec::new("1001").named("Acme").users(3) });
        let server = Some(sim.serve().await.expect("a free port"));
        town.lease(4);
        town.ready("acme", 3);
        let method = match auth {
            Auth::ClientCredentials => "clientCredentials",
            Auth::Jwt => "jwt",
            Auth::Oauth2 => "oauth2",
        };
        town.kube.edit("BoxConnection", NAMESPACE, "acme", |c| {
            c["spec"]["auth"] = json!({ method: { "secretRef": { "name": "box" } } });
        });
        let street = Self { town, sim, acme, server };
        match auth {
            Auth::ClientCredentials => street.secret(
                "box",
                json!({ "clientId": street.acme.client_id(), "clientSecret": street.acme.client_secret() }),
            ),
            Auth::Jwt => street.secret("box", json!({ "config.json": street.file() })),
            Auth::Oauth2 => street.secret(
                "box",
                json!({ "clientId": street.acme.client_id(), "clientSecret": street.acme.client_secret(),
                    "refreshToken": street.acme.refresh_token() }),
            ),
        }
        street
    }

    fn secret(&self, name: &str, data: Value) {
        self.town.kube.apply(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": NAMESPACE }, "stringData": data,
        }));
    }

    fn file(&self) -> String {
        self.acme.config_json(KeyFormat::Pkcs8TripleDes).expect("an app with a key pair")
    }

    fn url(&self) -> String {
        // Nobody listens on the first port.
        self.server.as_ref().map_or_else(|| "http://127.0.0.1:1".to_owned(), Server::url)
    }

    async fn check(&self, line: &str) -> Said {
        self.check_at(PIPE, line).await
    }

    /// Whatever is asked, no secret is ever told.
    async fn check_at(&self, at: At<'_>, line: &str) -> Said {
        let said = self.town.ask_at(at, &format!("check {line} --box-api-url {}", self.url())).await;
        let secrets = [Some(self.acme.client_secret()), self.acme.refresh_token(), Some(PASSPHRASE.to_owned())];
        for secret in secrets.into_iter().flatten().chain(["PRIVATE KEY".to_owned(), "planted".to_owned()]) {
            assert!(!said.out.contains(&secret) && !said.err.contains(&secret), "{said:?}");
        }
        for user in self.acme.users() {
            assert!(!said.out.contains(&user.login) && !said.out.contains(&user.name), "{said:?}");
        }
        said
    }
}

/// The marks from top to bottom: operator, CRDs, Secret, credentials, Box, clock, token, enterprise, user list.
fn marks(said: &Said) -> String {
    said.lines().iter().filter_map(|line| line.chars().next()).filter(|mark| "✓✗–".contains(*mark)).collect()
}

/// What is said at the end, in one line.
fn to_do(said: &Said) -> String {
    let end = said.out.split_once("What to do").map_or("", |(_, rest)| rest);
    end.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn where_all_is_fine_there_is_nothing_to_do() {
    for auth in [Auth::ClientCredentials, Auth::Jwt] {
        let said = Street::new(auth).await.check("acme").await;
        assert_eq!((marks(&said).as_str(), said.code), ("✓✓✓✓✓✓✓✓✓", 0), "{}", said.out);
        assert!(
            said.out.ends_with(
                "\nNothing to do.\nThe operator syncs again at 2026-11-23 08:59Z (in 20h); in between it checks the connection about every hour.\n"
            ),
            "{}",
            said.out
        );
    }
}

#[tokio::test]
async fn what_the_operator_last_saw_stands_first() {
    let street = Street::new(Auth::ClientCredentials).await;
    let mut status = ready(3);
    status["conditions"] = json!([
        condition("Ready", "False", "AppNotAuthorized", "See the condition Connected."),
        condition("Connected", "False", "AppNotAuthorized", "Box says no."),
        condition("Synced", "False", "AppNotAuthorized", "See the condition Connected."),
        condition("Stalled", "True", "AppNotAuthorized", "See the condition Connected."),
    ]);
    status["failures"] = json!({ "reason": "AppNotAuthorized", "count": 3, "lastTime": "2026-11-22T11:00:00Z" });
    status["nextSyncTime"] = Value::Null;
    street.town.tell("acme", status);
    let said = street.check("acme").await;
    let seen = "\
acme: needs a person for 2h (AppNotAuthorized) · list of 2026-11-22 09:00Z (3 users), fresh until 2026-11-24 09:00Z (in 45h)
    Box says no.
  users      3 · 3 active · 0 inactive · 0 restricted · 0 app · 0 held · 0 removed
  last sync  2026-11-22 09:00Z (3h ago) · Scheduled · 2 added · 1 updated · 0 removed · revision 42
  Connected  False · AppNotAuthorized · for 2h
  Ready      False · AppNotAuthorized · for 2h
  Synced     False · AppNotAuthorized · for 2h
  failures   3 in a row · the last 60m ago · AppNotAuthorized

Checked from this terminal
✓ operator    pod-a leads, and renews Lease boxsync/boxsync-operator.
✓ CRDs        The API server serves the kinds of boxsync.
✓ Secret      Secret box is there.
";
    let (leader, rest) = said.out.split_once("\nacme").expect("both");
    assert!(leader.starts_with("What the operator last saw\nOperator: pod-a leads (Lease "), "{leader}");
    assert!(format!("acme{rest}").starts_with(seen), "{}", said.out);
    // It works from here, and the operator has not found out yet.
    assert!(to_do(&said).contains("kubectl boxsync sync acme -n backup --wait"), "{}", said.out);
    assert!(to_do(&said).contains("it asks Box every 15 minutes, and"), "{}", said.out);
}

#[tokio::test]
async fn a_connection_that_no_operator_has_looked_at_has_not_been_waiting_since_1970() {
    let street = Street::new(Auth::ClientCredentials).await;
    let mut waiting = condition("Ready", "Unknown", "WaitingForOperator", "No operator has looked at it.");
    waiting["lastTransitionTime"] = "1970-01-01T00:00:00Z".into();
    street.town.tell("acme", json!({ "observedGeneration": -1, "conditions": [waiting] }));
    let said = street.check("acme").await;
    assert!(said.out.contains("  Ready      Unknown · WaitingForOperator\n"), "{}", said.out);
}

#[tokio::test]
async fn what_is_wrong_in_the_cluster_is_found_there() {
    let street = Street::new(Auth::ClientCredentials).await;
    street.town.kube.delete("Lease", "boxsync", "boxsync-operator");
    let said = street.check("acme").await;
    assert_eq!((marks(&said).as_str(), said.code), ("✗✓✓✓✓✓✓✓✓", 1), "{}", said.out);
    assert!(to_do(&said).contains("A cluster admin looks why it does not run"), "{}", said.out);
    assert!(said.out.contains("No operator leads: it is looked at again once one does."), "{}", said.out);

    let street = Street::new(Auth::ClientCredentials).await;
    street.town.kube.delete("Secret", NAMESPACE, "box");
    let said = street.check("acme").await;
    assert_eq!((marks(&said).as_str(), said.code), ("✓✓✗–✓✓–––", 1), "{}", said.out);
    assert!(to_do(&said).starts_with(": Create it with the keys clientId and clientSecret."), "{}", said.out);

    let street = Street::new(Auth::ClientCredentials).await;
    street.secret("box", json!({ "clientSecret": "planted", "clientId": "" }));
    let said = street.check("acme").await;
    assert_eq!((marks(&said).as_str(), said.code), ("✓✓✓✗✓✓–––", 1), "{}", said.out);
    assert!(to_do(&said).starts_with(": Put the keys clientId and clientSecret into it."), "{}", said.out);
}

#[tokio::test]
async fn a_secret_that_one_may_not_read_is_no_fault() {
    let street = Street::new(Auth::ClientCredentials).await;
    street.town.kube.forbid(|call| call.verb == Verb::Get && call.resource == "secrets" && call.user == "somebody");
    let said = street.check("acme").await;
    assert_eq!((marks(&said).as_str(), said.code), ("✓✓––✓✓–––", 0), "{}", said.out);
    assert!(said.out.contains("you lack the right to get secrets in namespace backup"), "{}", said.out);
}

#[tokio::test]
async fn kinds_that_are_not_served_are_named() {
    let street = Street::new(Auth::ClientCredentials).await;
    for (missing, kind, marked) in
        [("userslices", "UserSlices", "✓✗✓✓✓✓✓✓✓"), ("boxconnections", "BoxConnections", "✗✗–––––––")]
    {
        let clock = SimClock::new(street.town.clock.now());
        let crds = api::crds().into_iter().filter(|crd| crd.spec.names.plural != missing);
        let kinds: Vec<Resource> = crds.map(|crd| Resource::of_crd(&crd)).collect();
        let town = Town { kube: KubeSim::new(clock.reader(), kinds), clock };
        if missing == "userslices" {
            town.lease(4);
            town.ready("acme", 3);
            let data = json!({ "clientId": street.acme.client_id(), "clientSecret": street.acme.client_secret() });
            town.kube.apply(json!({ "apiVersion": "v1", "kind": "Secret",
                "metadata": { "name": "box", "namespace": NAMESPACE }, "stringData": data }));
        }
        let said = town.ask(&format!("check acme --box-api-url {}", street.url())).await;
        assert_eq!((marks(&said).as_str(), said.code), (marked, 1), "{}", said.out);
        assert!(said.out.contains(&format!("The API server serves no {kind}.")), "{}", said.out);
    }
}

#[tokio::test]
async fn what_box_refuses_is_told_in_the_operators_words() {
    type Harm = fn(&Enterprise);
    let troubles: [(Harm, &str, &str); 6] = [
        (|acme| acme.withdraw(), "✓✓✓✓✓✓✗––", "A Box admin of enterprise 1001 authorizes the Box app with client id"),
        (|acme| drop(acme.rotate_secret()), "✓✓✓✓✓✓✗––", "Secret box"),
        (|acme| acme.behave(Behaviour::OtherEnterprise), "✓✓✓✓✓✓✓✗–", "Put the credentials of enterprise 1001 into"),
        (|acme| acme.behave(Behaviour::InsufficientScope), "✓✓✓✓✓✓✓✓✗", "the app needs the scope \"Manage users\""),
        (|acme| acme.behave(Behaviour::EmptyList), "✓✓✓✓✓✓✓✓✗", "the app needs the scope \"Manage users\""),
        (|acme| acme.behave(Behaviour::LocationBlocked), "✓✓✓✓✓✓✓✗–", "Admin Console > Enterprise Settings > Security"),
    ];
    for (harm, marked, remedy) in troubles {
        let street = Street::new(Auth::ClientCredentials).await;
        harm(&street.acme);
        let said = street.check("acme").await;
        assert_eq!((marks(&said).as_str(), said.code), (marked, 1), "{}", said.out);
        assert!(to_do(&said).contains(remedy), "{remedy}: {}", said.out);
    }
}

#[tokio::test]
async fn a_key_under_another_passphrase_and_a_file_of_another_enterprise_are_told_apart() {
    let street = Street::new(Auth::Jwt).await;
    street.secret("box", json!({ "config.json": street.file().replace(PASSPHRASE, "planted") }));
    let said = street.check("acme").await;
    assert_eq!((marks(&said).as_str(), said.code), ("✓✓✓✗✓✓–––", 1), "{}", said.out);
    assert!(to_do(&said).contains("The private key cannot be decrypted"), "{}", said.out);

    let other = street.file().replace("\"enterpriseID\": \"1001\"", "\"enterpriseID\": \"2002\"");
    street.secret("box", json!({ "config.json": other }));
    let said = street.check("acme").await;
    assert_eq!((marks(&said).as_str(), said.code), ("✓✓✓✓✓✓–✗–", 1), "{}", said.out);
    assert!(said.out.contains("belong to enterprise 2002"), "{}", said.out);
}

#[tokio::test]
async fn a_clock_that_is_off_is_wrong_although_box_is_entered() {
    let street = Street::new(Auth::Jwt).await;
    street.town.clock.advance(Duration::from_secs(120));
    let said = street.check("acme").await;
    assert_eq!((marks(&said).chars().nth(5), said.code), (Some('✗'), 1), "{}", said.out);
    assert!(marks(&said).ends_with("✗✓✓✓"), "{}", said.out);
    assert!(said.out.contains("seconds ahead of Box's"), "{}", said.out);
}

#[tokio::test]
async fn a_box_that_is_down_is_asked_nothing_more() {
    let mut street = Street::new(Auth::ClientCredentials).await;
    street.server = None;
    let said = street.check("acme").await;
    assert_eq!((marks(&said).as_str(), said.code), ("✓✓✓✓✗––––", 1), "{}", said.out);
    assert!(said.out.contains("127.0.0.1 cannot be reached: "), "{}", said.out);
}

#[tokio::test]
async fn the_tokens_of_a_user_are_looked_at_and_never_renewed() {
    let street = Street::new(Auth::Oauth2).await;
    let said = street.check("acme").await;
    assert_eq!((marks(&said).as_str(), said.code), ("✓✓✓✓✓✓–––", 0), "{}", said.out);
    assert!(said.out.contains("the operator has stored no tokens yet (Secret acme-oauth2)"), "{}", said.out);

    // As the operator does, and stores it.
    let token = street.access_token().await;
    street.secret("acme-oauth2", json!({ "accessToken": token }));
    let seed = street.acme.refresh_token();
    let said = street.check("acme").await;
    assert_eq!((marks(&said).as_str(), said.code), ("✓✓✓✓✓✓✓✓✓", 0), "{}", said.out);
    assert!(!said.out.contains(&token), "{}", said.out);

    // A token lives an hour: that it has run out is no fault, and nothing is renewed.
    street.acme.revoke_tokens();
    let said = street.check("acme").await;
    assert_eq!((marks(&said).as_str(), said.code), ("✓✓✓✓✓✓–––", 0), "{}", said.out);
    assert!(said.out.contains("has run out"), "{}", said.out);
    assert_eq!(street.acme.refresh_token(), seed);
}

impl Street {
    /// What the refresh token is worth.
    async fn access_token(&self) -> String {
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
    let street = Street::new(Auth::Jwt).await;
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("check-config.json");
    std::fs::write(&path, street.file()).expect("writable");
    let mark = street.town.kube.mark();
    let said = street.check(&format!("--file {}", path.display())).await;
    assert_eq!((marks(&said).as_str(), said.code), ("✓✓✓✓✓✓", 0), "{}", said.out);
    assert!(said.out.ends_with("\nNothing to do.\n"), "{}", said.out);
    assert!(street.town.kube.requests_since(mark).is_empty(), "the cluster was asked");

    let typed = |text: &'static str| At { types: text, ..PIPE };
    let said = street.check_at(typed("{\"planted\":"), "--file -").await;
    assert_eq!((marks(&said).as_str(), said.code), ("✗✓✓–––", 1), "{}", said.out);
    assert!(to_do(&said).contains("is not JSON (line 1, column"), "{}", said.out);

    let said = street.check(&format!("--file {} --enterprise-id 2002", path.display())).await;
    assert_eq!((marks(&said).as_str(), said.code), ("✓✓✓–✗–", 1), "{}", said.out);

    street.acme.replace_key_pair();
    let said = street.check(&format!("--file {}", path.display())).await;
    assert_eq!((marks(&said).as_str(), said.code), ("✓✓✓✗––", 1), "{}", said.out);
    assert!(said.out.contains("download a new config.json"), "{}", said.out);

    let said = street.check("--file /nowhere/config.json").await;
    assert_eq!(said.code, 64, "{}", said.err);
}

#[tokio::test]
async fn programs_read_json_and_terminals_show_colours() {
    let street = Street::new(Auth::ClientCredentials).await;
    street.acme.withdraw();
    let said = street.check("acme -o json").await;
    let whole: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(whole["checks"].as_array().map(Vec::len), Some(9), "{whole:#}");
    assert_eq!(whole["checks"][6]["check"], "token");
    assert_eq!(whole["checks"][6]["mark"], "wrong");
    assert_eq!(whole["toDo"][0], whole["checks"][6]["fix"]);
    assert_eq!((&whole["seen"]["operator"]["state"], said.code), (&json!("leads"), 1));
    assert!(street.check_at(TERMINAL, "acme").await.out.contains("\x1b[31m✗\x1b[0m token"));
}

#[test]
fn the_proxy_on_the_way_is_named_without_its_password() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_kubectl-boxsync"))
        .args(["check", "--file", "/dev/null", "--box-api-url", "https://box.invalid"])
        .env_clear()
        .env("HTTPS_PROXY", "http://me:planted@127.0.0.1:1")
        .output()
        .expect("the plugin runs");
    let out = String::from_utf8(output.stdout).expect("text");
    assert!(out.contains("box.invalid cannot be reached through the proxy http://127.0.0.1:1: "), "{out}");
    assert!(!out.contains("planted") && output.status.code() == Some(1), "{out}");
}
