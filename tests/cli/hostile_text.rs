//! Text from others — users of Box, tenants, the cluster — never reaches a terminal as anything but printable characters.

use std::time::Duration;

use boxsync::{
    api::UserSyncRequest,
    user_list::{CodesByName, TrackingCodes, User},
};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::env::{CliEnv, NAMESPACE, OutputBuffer, PIPE, TERMINAL, TestIo, condition_json, ready_status, user_record};

/// Clears the screen, colors, sets the title, moves the cursor, reverses the text, hides text, and forges a line.
const HOSTILE: &str = "\u{1b}[2J\u{1b}[31m\u{1b}]0;x\u{7}\u{9b}2J\u{9d}\u{85}\r\u{8}\t\u{7f}\u{202e}\u{2066}\u{200b}\u{200f}\u{ad}\u{feff}\u{2028}\u{2029}\u{e0041}\nFORGED";

/// What the plugin itself tells a terminal.
const OWN_SEQUENCES: [&str; 9] =
    ["\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m", "\x1b[?7l", "\x1b[?7h", "\x1b[H\x1b[J"];

fn hostile(text: &str) -> String {
    format!("{text}{HOSTILE}")
}

/// Makes all texts of a status hostile but those that the schema limits to words and times.
fn make_hostile(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let limited = ["type", "status", "trigger", "phase", "namespace", "digest"];
            fields
                .iter_mut()
                .filter(|(key, _)| !limited.contains(&key.as_str()))
                .for_each(|(_, value)| make_hostile(value));
        }
        Value::Array(items) => items.iter_mut().for_each(make_hostile),
        Value::String(text) if text.parse::<jiff::Timestamp>().is_err() => *text = hostile(text),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn assert_printable(text: &str, context: &str) {
    let unprintable = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                | '\u{e0000}'..='\u{e0fff}')
    };
    assert!(!text.replace('\n', "").contains(unprintable), "{context}: {text:?}");
    assert!(!text.lines().any(|line| line.starts_with("FORGED")), "{context}: {text}");
}

/// Connections in every state, and a list whose users chose their names with care.
async fn env_with_hostile_text() -> CliEnv {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 40);
    let ids: Vec<String> = (0..40).map(|n| (2000 + n).to_string()).collect();
    let text = hostile("x");
    let codes: CodesByName<'_> = [((&*text).into(), (&*text).into())].into();
    let users: Vec<User<'_>> = ids
        .iter()
        .map(|id| User {
            job_title: &text,
            language: &text,
            timezone: &text,
            tracking_codes: TrackingCodes::by_name(&codes),
            ..user_record(id, &text, &text)
        })
        .collect();
    env.publish_users("acme", &users).await;
    let renamed = users.iter().map(|user| User { login: "plain", tracking_codes: TrackingCodes::default(), ..*user });
    let renamed: Vec<User<'_>> = renamed.collect();
    env.publish_users("acme", &renamed[..38]).await;
    env.publish_users("acme", &users[20..]).await;
    env.kube.edit("UserRoster", NAMESPACE, "acme", |roster| {
        for entry in roster["journal"].as_array_mut().expect("a journal") {
            entry["requestedBy"] = json!([HOSTILE]);
            entry["massChanges"] = json!([{ "kind": HOSTILE, "users": 20 }]);
        }
    });
    let mut status = ready_status(40);
    status["app"] = json!({ "clientId": "id", "authType": "clientCredentials" });
    status["enterprise"] = json!({ "id": "1001", "name": "Acme" });
    status["account"] = json!({ "id": "1", "login": "l", "name": "n" });
    status["nextSync"] = "soon".into();
    status["history"] = json!([{
        "trigger": "Requested", "startTime": "2026-11-22T08:59:00Z", "completionTime": "2026-11-22T09:00:00Z",
        "reason": "Synced", "attempts": 1, "calls": 3, "requestedBy": ["ann"], "requests": ["acme-x"],
    }]);
    make_hostile(&mut status);
    // The Lease must be found.
    status["operator"] = json!({ "leaseRef": { "namespace": "boxsync", "name": "boxsync-operator" } });
    let mut failed = status.clone();
    failed["conditions"] = json!([
        condition_json("Ready", "False", &hostile("AuthorizationExpired"), &hostile("m")),
        condition_json("Connected", "False", &hostile("AuthorizationExpired"), &hostile("m")),
        condition_json("Stalled", "True", &hostile("r"), &hostile("m")),
    ]);
    failed["failures"] = json!({ "reason": hostile("RateLimited"), "count": 2, "lastTime": "2026-11-22T11:00:00Z" });
    let mut unnamed = failed.clone();
    unnamed["operator"] = json!({ "leaseRef": { "namespace": "boxsync", "name": hostile("gone") } });
    unnamed.as_object_mut().expect("a status").remove("app");
    env.set_status("acme", status);
    for (name, status) in [("globex", failed), ("hooli", unnamed)] {
        env.create_connection(name);
        env.set_status(name, status);
    }
    env.apply_lease(4);
    env.kube
        .edit("Lease", "boxsync", "boxsync-operator", |lease| lease["spec"]["holderIdentity"] = hostile("pod").into());
    env.kube.apply(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "box", "namespace": NAMESPACE },
        "stringData": { "clientId": hostile("id"), "clientSecret": hostile("s") },
    }));
    env
}

const COMMANDS: [&str; 41] = [
    "status",
    "status --all",
    "status -A --all",
    "status -A -o wide",
    "status -A -o json",
    "status -A -o yaml",
    "status acme",
    "status globex",
    "status hooli",
    "users acme",
    "users acme -o wide",
    "users acme -o name",
    "users acme -o csv",
    "users acme -o json",
    "users acme -o yaml",
    "users acme -o jsonl",
    "users acme --held",
    "users acme --removed",
    "users acme --removed -o csv",
    "users acme --status \u{1b}[2J",
    "users acme --tracking-code \u{1b}[2J=x",
    "users acme --held --tracking-code x=\u{1b}[2J",
    "changes acme",
    "changes acme -o json",
    "changes acme -o yaml",
    "changes acme -o jsonl",
    "coverage acme --protected -",
    "coverage acme --protected - --partial",
    "coverage acme --protected - --partial -o csv",
    "coverage acme --protected - --partial -o json",
    "coverage acme --protected - --partial -o jsonl",
    "why acme 2001",
    "why acme 2025",
    "why acme 2039",
    "why acme x\u{1b}[2J\u{9b}",
    "approve acme",
    "check acme --box-api-url http://127.0.0.1:1",
    "check hooli --box-api-url http://127.0.0.1:1 -o json",
    "check globex --box-api-url http://127.0.0.1:1 -o yaml",
    "handover globex",
    "handover hooli",
];

#[tokio::test(start_paused = true)]
async fn no_command_lets_a_terminal_obey_others() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let env = env_with_hostile_text().await;
    for io in [PIPE, TestIo { input: "n\n", ..TERMINAL }] {
        for command in COMMANDS {
            let output = env.run_with_io(io, command).await;
            let own = OWN_SEQUENCES.iter().fold(output.out.clone(), |text, sequence| text.replace(sequence, ""));
            assert_printable(&own, command);
            assert_printable(&output.err, command);
            assert!(!output.out.is_empty() || !output.err.is_empty(), "{command}");
        }
    }
}

/// Whoever can write to the backup tool chooses what is in its export.
#[tokio::test(start_paused = true)]
async fn the_rows_and_columns_of_an_export_are_printable() {
    let env = env_with_hostile_text().await;
    let cell = HOSTILE.replace('\n', " ");
    let export =
        format!("Login,State{cell},Last{cell}\n2001,ok,{cell}\n{cell},ok,\nx@y{cell},ok,\n\"a{HOSTILE}\",no,\n");
    for flags in
        ["--partial", "--partial -o csv", "--partial -o json", "--partial -o jsonl", "", "--column no", "--where no=x"]
    {
        let io = TestIo { input: &export, ..PIPE };
        let output = env.run_with_io(io, &format!("coverage acme --protected - {flags}")).await;
        assert_printable(&output.out, flags);
        assert_printable(&output.err, flags);
        assert!(!output.out.is_empty() || !output.err.is_empty(), "{flags}");
    }
}

/// A request that is waited for is shown while it runs, and when it fails.
#[tokio::test(start_paused = true)]
async fn the_progress_of_a_request_is_printable() {
    let env = env_with_hostile_text().await;
    for (phase, kind) in [("Pending", "Reconciling"), ("Failed", "Failed")] {
        let log = OutputBuffer::default();
        let wait = env.run_into_buffer(&log, PIPE, "sync acme --wait --timeout 5s");
        let answer = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            for request in env.kube.objects::<UserSyncRequest>() {
                env.kube.edit("UserSyncRequest", NAMESPACE, &request.name_any(), |request| {
                    request["status"] = json!({ "phase": phase, "observedGeneration": 1,
                        "conditions": [condition_json(kind, "True", &hostile("r"), &hostile("m"))] });
                });
            }
        };
        let ((_, err), ()) = tokio::join!(wait, answer);
        assert_printable(&log.contents(), phase);
        assert_printable(&err, phase);
        assert!(log.contents().contains("FORGED"), "it is shown: {}", log.contents());
    }
}

#[tokio::test(start_paused = true)]
async fn formats_for_programs_keep_the_text_itself() {
    let env = env_with_hostile_text().await;
    let parse = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let json = parse(&env.run("users acme -o json").await.out);
    assert_eq!(json[0]["name"], hostile("x"));
    assert_eq!(json[0]["trackingCodes"][hostile("x")], hostile("x"));
    let yaml: Value = serde_saphyr::from_str(&env.run("users acme -o yaml").await.out).expect("YAML");
    assert_eq!(yaml, json);
    let lines = env.run("users acme -o jsonl").await.out;
    assert_eq!(Value::from_iter(lines.lines().map(parse)), json);
    let status = parse(&env.run("status acme -o json").await.out);
    assert_eq!(
        status["operator"]["holderIdentity"],
        json!(hostile("pod").chars().map(|c| if is_shown(c) { c } else { '\u{fffd}' }).collect::<String>())
    );
    let raw = env.run("users acme -o csv --raw").await.out;
    assert!(raw.contains(&format!(",\"{}\",", hostile("x"))), "{raw:?}");
}

fn is_shown(c: char) -> bool {
    c.is_ascii_graphic()
}
