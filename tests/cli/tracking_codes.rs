//! Tracking codes of users: shown, exported and filtered by.

use boxsync::{
    cli::Cli,
    user_list::{CodesByName, TrackingCodes, User},
};
use serde_json::{Value, json};

use crate::env::{CliEnv, three_users};

fn codes<'a>(pairs: &[(&'a str, &'a str)]) -> CodesByName<'a> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

/// The list of the three users, of whom the first two have these codes.
async fn publish_with_codes(env: &CliEnv, ann_codes: &[(&str, &str)], bob_codes: &[(&str, &str)]) {
    let (ann_codes, bob_codes) = (codes(ann_codes), codes(bob_codes));
    let [ann, bob, robot] = three_users();
    let with = |codes, user| User { tracking_codes: TrackingCodes::by_name(codes), ..user };
    env.publish_users("acme", &[with(&ann_codes, ann), with(&bob_codes, bob), robot]).await;
}

async fn env_with_codes() -> CliEnv {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 3);
    publish_with_codes(&env, &[("department", "Sales"), ("cost-centre", "4711")], &[("department", "IT")]).await;
    env
}

#[tokio::test(start_paused = true)]
async fn tracking_codes_filter_the_list_exactly() {
    let env = env_with_codes().await;
    for (flags, logins) in [
        ("--tracking-code department=Sales", "ann@acme.com"),
        ("--tracking-code=department=Sales --tracking-code=department=IT", "ann@acme.com bob@acme.com"),
        ("--tracking-code=department=Sales --tracking-code cost-centre=4711", "ann@acme.com"),
        ("--tracking-code=department=IT --tracking-code cost-centre=4711", ""),
        ("--tracking-code=department=IT --tracking-code cost-centre=", "bob@acme.com"),
        ("--tracking-code=department=", "robot@boxdevedition.com"),
        ("--tracking-code=department= --tracking-code=department=IT", "bob@acme.com robot@boxdevedition.com"),
        ("--tracking-code=department=IT --status=active", ""),
        ("--tracking-code=department=sales", ""),
        ("--tracking-code=department=Sale", ""),
    ] {
        let output = env.run(&format!("users acme -o name {flags}")).await;
        assert_eq!((output.code, output.stdout_lines().join(" ").as_str()), (0, logins), "{flags:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_nobody_has_is_a_usage_error_and_no_empty_list() {
    let env = env_with_codes().await;
    for (flag, said) in [
        ("departmnt=Sales", "named \"departmnt\". Did you mean department? They have cost-centre, department."),
        ("Department=Sales", "named \"Department\". Did you mean department? They have cost-centre, department."),
        ("team=red", "named \"team\". They have cost-centre, department."),
        ("team=", "named \"team\". They have cost-centre, department."),
    ] {
        for format in ["table", "csv", "name"] {
            let output = env.run(&format!("users acme -o {format} --tracking-code {flag}")).await;
            assert_eq!((output.code, output.out.as_str()), (64, ""), "{flag}");
            assert_eq!(output.err, format!("error: none of these users has a tracking code {said}\n"), "{flag}");
        }
    }
    let env = CliEnv::with_three_users().await;
    let output = env.run("users acme --tracking-code department=Sales").await;
    assert_eq!(
        (output.code, output.err.as_str()),
        (
            64,
            "error: none of these users has a tracking code named \"department\". They have no tracking codes: Box sends some only if the enterprise has switched them on.\n"
        )
    );
    for (flags, said) in [
        (&["--tracking-code", "department"][..], "write NAME=VALUE, such as department=Sales"),
        (&["--tracking-code", "=Sales"], "write NAME=VALUE, such as department=Sales"),
        (&["--removed", "--tracking-code", "department=Sales"], "cannot be used with"),
    ] {
        let refused = Cli::parse_args(["kubectl-boxsync", "users", "acme"].iter().chain(flags)).expect_err("refused");
        assert!(refused.to_string().contains(said), "{refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_nobody_has_the_code_the_values_of_others_are_told() {
    let env = env_with_codes().await;
    for (flags, said) in [
        (
            "--tracking-code=department=Legal",
            "No user in the list of acme has the tracking code department with Legal: 1 IT, 1 Sales.",
        ),
        (
            "--tracking-code=department=Legal --tracking-code=department=HR",
            "No user in the list of acme has the tracking code department with Legal or HR: 1 IT, 1 Sales.",
        ),
        (
            "--tracking-code=department=IT --tracking-code cost-centre=4711",
            "No user in the list of acme matches all filters together, of 3 users. Each alone: --tracking-code cost-centre=4711 1, --tracking-code department=IT 1.",
        ),
    ] {
        let output = env.run(&format!("users acme {flags}")).await;
        assert_eq!((output.code, output.err), (0, format!("{said}\n")), "{flags:?}");
    }
    let env = CliEnv::with_held_users(60, 25).await;
    let output = env.run("users acme --held --tracking-code department=Sales").await;
    assert_eq!(
        (output.code, output.err.as_str()),
        (0, "No held user of acme has the tracking code department with Sales: nobody has one.\n")
    );
}

#[tokio::test(start_paused = true)]
async fn tracking_codes_are_in_each_format_that_shows_everything() {
    let env = env_with_codes().await;
    let ann: Value = serde_json::from_str(&env.run("users acme --role admin -o jsonl").await.out).expect("JSON");
    assert_eq!(ann["trackingCodes"], json!({ "cost-centre": "4711", "department": "Sales" }));
    let json: Value = serde_json::from_str(&env.run("users acme -o json").await.out).expect("JSON");
    assert_eq!((&json[0], json[2].get("trackingCodes")), (&ann, None));
    let wide = env.run("users acme -o wide").await.out;
    let lines: Vec<&str> = wide.lines().map(str::trim_end).collect();
    assert!(lines[0].ends_with("TRACKING-CODES"), "{wide}");
    assert!(
        lines[1].ends_with(" cost-centre=4711; department=Sales") && lines[2].ends_with(" department=IT"),
        "{wide}"
    );
    let csv = env.run("users acme -o csv").await.out;
    let ends: Vec<&str> = csv
        .lines()
        .filter_map(|line| line.split_once("spaceAmount").or(line.split_once(",-1")).map(|(_, end)| end))
        .collect();
    assert_eq!(
        ends,
        [",state,trackingCodes", ",Live,cost-centre=4711; department=Sales", ",Live,department=IT", ",Live,"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_spreadsheet_takes_no_tracking_code_for_a_formula() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 3);
    publish_with_codes(&env, &[("=cmd", "1"), ("z", "; +2;@3")], &[("a", "x"), ("b", "=1")]).await;
    let csv = env.run("users acme -o csv").await.out;
    assert!(csv.contains(",Live,'=cmd=1; z=;' +2;'@3\n"), "{csv}");
    assert!(csv.contains(",Live,a=x; b==1\n"), "{csv}");
}

#[tokio::test(start_paused = true)]
async fn changes_and_why_name_the_codes() {
    let env = env_with_codes().await;
    publish_with_codes(&env, &[("department", "Legal"), ("cost-centre", "4711")], &[]).await;
    let changes = env.run("changes acme --revision 2").await.out;
    assert_eq!(
        changes.lines().skip(1).collect::<Vec<_>>(),
        [
            "  ~ ann@acme.com  trackingCodes.department: Sales → Legal",
            "  ~ bob@acme.com  trackingCodes.department: IT → (none)"
        ]
    );
    let line = env.run("changes acme --user bob@acme.com -o jsonl").await.out;
    let line: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(line["fields"], json!({ "trackingCodes": [{ "department": "IT" }, null] }));
    let why = env.run("why acme ann@acme.com").await;
    assert!(
        why.out.contains(" Tracking codes: cost-centre=4711; department=Legal. Last changed in revision 2 ("),
        "{}",
        why.out
    );
    assert!(why.out.ends_with(": trackingCodes.department: Sales → Legal.\n"), "{}", why.out);
    assert!(!env.run("why acme bob@acme.com").await.out.contains("Tracking codes"));
}
