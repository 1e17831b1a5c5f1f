//! `users`: filters, formats, the age of a list, and missing lists.

use boxsync::user_list::{User, UserStatus};

use serde_json::json;

use crate::env::{CliEnv, NAMESPACE, condition_json, three_users, user_record};

#[tokio::test(start_paused = true)]
async fn the_list_is_printed_as_a_table() {
    let output = CliEnv::with_three_users().await.run("users acme").await;
    assert_eq!(
        output.out,
        "\
LOGIN                     NAME         STATUS     ROLE
ann@acme.com              Ann Archer   active     admin
bob@acme.com              Bob Baker    inactive   user
robot@boxdevedition.com   Robot        active     user
"
    );
    assert_eq!((output.code, output.err.as_str()), (0, ""));
}

#[tokio::test(start_paused = true)]
async fn filters_narrow_the_list_together() {
    let env = CliEnv::with_three_users().await;
    for (flags, logins) in [
        ("--status active", "ann@acme.com robot@boxdevedition.com"),
        ("--status inactive,restricted", "bob@acme.com"),
        ("--role admin", "ann@acme.com"),
        ("--app", "robot@boxdevedition.com"),
        ("--no-app --status active", "ann@acme.com"),
        ("--search BAKER", "bob@acme.com"),
        ("--search 2003", "robot@boxdevedition.com"),
        ("--search acme.com --role user", "bob@acme.com"),
        ("--search nobody", ""),
        ("--held", ""),
    ] {
        let output = env.run(&format!("users acme -o name {flags}")).await;
        assert_eq!(output.stdout_lines().join(" "), logins, "{flags}");
    }
}

#[tokio::test(start_paused = true)]
async fn json_formats_pass_the_records_through_unchanged() {
    let env = CliEnv::with_three_users().await;
    let ann = r#"{"id":"2001","login":"ann@acme.com","name":"Ann Archer","status":"active","role":"admin","app":false,"createdAt":"2023-11-14T22:13:20Z","jobTitle":"Clerk","language":"en","timezone":"Europe/Berlin","spaceAmount":-1}"#;
    assert_eq!(env.run("users acme --role admin -o jsonl").await.out, format!("{ann}\n"));
    assert_eq!(env.run("users acme --role admin -o json").await.out, format!("[\n{ann}\n]\n"));
    assert_eq!(env.run("users acme --search nobody -o json").await.out, "[\n]\n");
    let all: serde_json::Value = serde_json::from_str(&env.run("users acme -o json").await.out).expect("JSON");
    assert_eq!(all.as_array().map(Vec::len), Some(3));
}

#[tokio::test(start_paused = true)]
async fn csv_has_a_header_and_quotes_where_needed() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 1);
    env.publish_users("acme", &[user_record("1", "ann@acme.com", "Archer, \"Ann\"")]).await;
    assert_eq!(
        env.run("users acme -o csv").await.out,
        "\
id,login,name,status,role,app,createdAt,jobTitle,language,timezone,spaceAmount,state,trackingCodes
1,ann@acme.com,\"Archer, \"\"Ann\"\"\",active,user,false,2023-11-14T22:13:20Z,Clerk,en,Europe/Berlin,-1,Live,
"
    );
}

#[tokio::test(start_paused = true)]
async fn a_name_in_box_cannot_inject_terminal_escapes() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 1);
    env.publish_users("acme", &[user_record("1", "ann@acme.com", "Ann\x1b[31m")]).await;
    assert!(!env.run("users acme").await.out.contains('\x1b'));
}

#[tokio::test(start_paused = true)]
async fn held_users_are_listed_and_marked() {
    let env = CliEnv::with_held_users(40, 20).await;
    assert_eq!(env.run("users acme -o name").await.stdout_lines().len(), 40);
    assert_eq!(env.run("users acme -o name --held").await.stdout_lines().len(), 20);
    let wide = env.run("users acme -o wide --search user7@").await.out;
    assert!(wide.contains("Held") && !wide.contains("Live"), "{wide}");
}

#[tokio::test(start_paused = true)]
async fn removed_users_are_shown_with_their_last_status() {
    let env = CliEnv::with_three_users().await;
    env.publish_users("acme", &[three_users()[0], three_users()[2]]).await;
    assert_eq!(
        env.run("users acme --removed").await.out,
        "LOGIN          NAME        LAST-STATUS   REMOVED\nbob@acme.com   Bob Baker   inactive      2026-11-22T12:00:00Z\n"
    );
    assert_eq!(env.run("users acme --removed --status active -o name").await.out, "");
}

#[tokio::test(start_paused = true)]
async fn a_list_older_than_max_age_has_its_own_exit_code() {
    let env = CliEnv::with_three_users().await;
    assert_eq!(env.run("users acme --max-age 3h").await.code, 0);
    let output = env.run("users acme --max-age 90m").await;
    assert_eq!((output.code, output.out.as_str()), (6, ""));
    assert_eq!(
        output.err,
        "error: the list of acme is from 2026-11-22T09:00:00Z: it is 3h old, the limit is 90m. Fetch a new one with kubectl boxsync sync acme -n backup --wait.\n"
    );
}

#[tokio::test(start_paused = true)]
async fn no_list_is_not_an_empty_list() {
    let env = CliEnv::new();
    env.create_connection("acme");
    for line in ["users acme", "users acme --max-age 1h", "changes acme", "why acme x@acme.com"] {
        let output = env.run(line).await;
        assert_eq!((output.code, output.out.as_str()), (7, ""), "{line}");
        assert!(
            output.err.starts_with("error: no list of acme has been published (that is not an empty list)."),
            "{}",
            output.err
        );
    }
}

#[tokio::test(start_paused = true)]
async fn users_can_be_filtered_by_an_unknown_status() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 1);
    env.publish_users(
        "acme",
        &[User { status: UserStatus::Other("on_leave"), ..user_record("1", "ann@acme.com", "Ann") }],
    )
    .await;
    assert_eq!(env.run("users acme --status on_leave -o name").await.out, "ann@acme.com\n");
}

#[tokio::test(start_paused = true)]
async fn a_word_that_neither_box_knows_nor_anybody_has_is_a_usage_error() {
    let env = CliEnv::with_three_users().await;
    env.publish_users("acme", &three_users()[..2]).await;
    let known = "Known are active, inactive, cannot_delete_edit, cannot_delete_edit_upload, restricted.";
    for (flags, found) in [
        ("--status actve", "status \"actve\", and Box is not known to use it. Did you mean active?"),
        ("--status Active", "status \"Active\", and Box is not known to use it. Did you mean active?"),
        (
            "--status active,innactive -o json",
            "status \"innactive\", and Box is not known to use it. Did you mean inactive?",
        ),
        ("--status gone -o csv", "status \"gone\", and Box is not known to use it. Known"),
        ("--removed --status actve", "status \"actve\", and Box is not known to use it. Did you mean active?"),
        ("--held --status actve", "status \"actve\""),
        (
            "--role coadmim",
            "role \"coadmim\", and Box is not known to use it. Did you mean coadmin? Known are admin, coadmin, user.",
        ),
        ("--role owner -o name", "role \"owner\", and Box is not known to use it. Known are admin"),
    ] {
        let output = env.run(&format!("users acme {flags}")).await;
        assert_eq!((output.code, output.out.as_str()), (64, ""), "{flags}");
        assert!(output.err.starts_with(&format!("error: none of these users has the {found}")), "{}", output.err);
        assert!(flags.contains("--role") || output.err.contains(known), "{}", output.err);
    }
    // Nobody has these, but Box may use them.
    for flags in ["--status cannot_delete_edit", "--status restricted", "--role coadmin", "--removed --status inactive"]
    {
        assert_eq!(env.run(&format!("users acme {flags}")).await.code, 0, "{flags}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_spreadsheet_takes_no_cell_for_a_formula_unless_it_is_asked_for_raw_text() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 1);
    let user =
        User { job_title: "a;@b", timezone: "＝1", ..user_record("1", "+ann@acme.com", " =HYPERLINK(\"x\")\x1b[2J") };
    env.publish_users("acme", &[user]).await;
    let header = "id,login,name,status,role,app,createdAt,jobTitle,language,timezone,spaceAmount,state,trackingCodes\n";
    assert_eq!(
        env.run("users acme -o csv").await.out,
        format!(
            "{header}1,'+ann@acme.com,\"' =HYPERLINK(\"\"x\"\")\u{fffd}[2J\",active,user,false,2023-11-14T22:13:20Z,a;'@b,en,'＝1,-1,Live,\n"
        )
    );
    assert_eq!(
        env.run("users acme -o csv --raw").await.out,
        format!(
            "{header}1,+ann@acme.com,\" =HYPERLINK(\"\"x\"\")\x1b[2J\",active,user,false,2023-11-14T22:13:20Z,a;@b,en,＝1,-1,Live,\n"
        )
    );
}

/// App users may have none.
#[tokio::test(start_paused = true)]
async fn a_user_without_a_login_is_told_by_id() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 40);
    let ids: Vec<String> = (2000..2040).map(|n| n.to_string()).collect();
    let first: Vec<User<'_>> = ids.iter().map(|id| user_record(id, "", "User")).collect();
    env.publish_users("acme", &first).await;
    let unnamed = [user_record("7", "", "Robot"), user_record("8", " ", "Other"), user_record("9", "", "Third")];
    env.publish_users("acme", &unnamed).await;
    assert!(env.run("users acme").await.out.contains("\nid 7 "), "in the table");
    assert!(env.run("users acme -o wide").await.out.contains("\nid 8 "), "in the wide table");
    assert!(env.run("users acme -o name").await.out.starts_with("7\n8\n9\n"), "a word that why finds");
    assert!(env.run("users acme -o csv").await.out.contains("\n7,,Robot,"), "CSV has the id anyway");
    assert!(env.run("changes acme").await.out.contains("\n  + id 7\n"));
    assert!(env.run("approve acme").await.out.contains("\n  id 2001 (User, active)\n"));
    let why = env.run("why acme 7").await;
    assert!(why.out.starts_with("id 7 (Robot, active, user) is in the list of acme since revision 2"), "{}", why.out);
    assert_eq!(why.code, 0);
    // Then they vanish, with the others back.
    env.publish_users("acme", &first).await;
    let (removed, why) = (env.run("users acme --removed").await.out, env.run("why acme 7").await);
    assert!(removed.contains("\nid 7 "), "{removed}");
    assert!(why.out.contains("id 7 (Robot, last active) was removed from the list of acme"), "{}", why.out);
    assert_eq!(why.code, 1);
}

#[tokio::test(start_paused = true)]
async fn held_users_that_the_list_cannot_name_are_counted_and_never_called_none() {
    type Damage = fn(&CliEnv);
    let damages: [(Damage, u8, &str); 3] = [
        (
            |env| env.kube.delete("UserRoster", NAMESPACE, "acme"),
            7,
            "the list of acme is missing: its UserRoster was deleted",
        ),
        (|env| env.delete_slices(&["Held"]), 8, "slices of revision 2 are missing or damaged"),
        (
            |env| {
                env.kube.edit("UserRoster", NAMESPACE, "acme", |r| {
                    r["slices"].as_array_mut().expect("slices").retain(|s| s["state"] != "Held");
                    r.as_object_mut().expect("a roster").remove("held");
                });
            },
            8,
            "The list (revision 2) cannot name them.",
        ),
    ];
    for (damage, code, said) in damages {
        let env = CliEnv::with_held_users(60, 25).await;
        damage(&env);
        for line in ["users acme --held", "users acme --held -o json"] {
            let output = env.run(line).await;
            assert_eq!((output.code, output.out.as_str()), (code, ""), "{line}: {output:?}");
            assert!(output.err.starts_with("error: Removals of 25 of 60 users are held. The list"), "{}", output.err);
            for words in ["cannot name them", said, "kubectl boxsync approve acme -n backup."] {
                assert!(output.err.contains(words), "{words}: {}", output.err);
            }
        }
    }
    let env = CliEnv::with_held_users(60, 25).await;
    env.kube.edit("BoxConnection", NAMESPACE, "acme", |c| c["status"]["held"]["digest"] = json!("newer"));
    let output = env.run("users acme --held -o name").await;
    assert_eq!((output.code, output.stdout_lines().len()), (0, 25));
    assert!(
        output.err.starts_with("note: the list (revision 2) is older than the removals that are held now."),
        "{}",
        output.err
    );
}

#[tokio::test(start_paused = true)]
async fn what_happens_to_a_damaged_list_next_is_what_its_connection_says() {
    let held = json!({ "time": "2026-11-22T11:00:00Z", "removals": 25, "total": 60, "digest": "d" });
    let lost = json!([
        condition_json("Ready", "False", "AppNotAuthorized", "See the condition Connected."),
        condition_json("Connected", "False", "AppNotAuthorized", "Box denies the app. A Box admin authorizes it."),
        condition_json("Stalled", "True", "AppNotAuthorized", "Box denies the app. A Box admin authorizes it."),
    ]);
    let holding = json!([condition_json("Ready", "True", "RemovalsHeld", "Removals are held. Approve them.")]);
    for (spec, status, next) in [
        (json!({}), json!({}), "A sync publishes it again: kubectl boxsync sync acme -n backup --wait."),
        (
            json!({}),
            json!({ "held": held, "conditions": holding }),
            "Removals of 25 of 60 users are held. While they are held, a sync cannot publish it again without knowing who they are. Restore the list from a backup, or, if these users were really removed: kubectl boxsync approve acme -n backup.",
        ),
        (
            json!({ "suspend": true }),
            json!({ "held": held, "conditions": holding }),
            "The connection is suspended: no sync publishes it again until it is resumed with kubectl patch boxconnection acme -n backup --type merge -p '{\"spec\":{\"suspend\":false}}'",
        ),
        (
            json!({}),
            json!({ "held": held, "conditions": lost }),
            "No sync can publish it again now. Box denies the app. A Box admin authorizes it. kubectl boxsync handover acme -n backup",
        ),
    ] {
        for line in ["users acme", "why acme 2001"] {
            let env = CliEnv::with_three_users().await;
            env.kube.edit("BoxConnection", NAMESPACE, "acme", |c| {
                for (part, fields) in [("spec", &spec), ("status", &status)] {
                    for (key, value) in fields.as_object().expect("fields") {
                        c[part][key] = value.clone();
                    }
                }
            });
            env.delete_slices(&["Live"]);
            let output = env.run(line).await;
            assert_eq!((output.code, output.out.as_str()), (8, ""));
            let damaged = "error: the list of acme is incomplete: slices of revision 1 are missing or damaged.";
            assert_eq!(output.err, format!("{damaged} {next}\n"), "{line}");
            env.kube.delete("UserRoster", NAMESPACE, "acme");
            let output = env.run(line).await;
            let missing = "error: the list of acme is missing: its UserRoster was deleted (that is not an empty list).";
            assert_eq!((output.code, output.err), (7, format!("{missing} {next}\n")), "{line}");
        }
    }
    // Who may not read connections is told of each possibility.
    let env = CliEnv::with_three_users().await;
    env.delete_slices(&["Live"]);
    env.kube.forbid(|call| call.resource == "boxconnections" && call.user == "alice");
    let err = env.run("users acme").await.err;
    assert!(
        err.contains("Unless removals are held or the connection is suspended, a sync publishes it again"),
        "{err}"
    );
}

#[tokio::test(start_paused = true)]
async fn where_nobody_matches_the_filter_that_excludes_all_is_named() {
    let env = CliEnv::with_three_users().await;
    let why = "Why somebody is missing: kubectl boxsync why acme LOGIN -n backup.";
    for (flags, said) in [
        ("--held", "No removals are held for acme.".to_owned()),
        (
            "--removed",
            "Nobody was removed from the list of acme within its retention (spec.historyRetention of the connection)."
                .to_owned(),
        ),
        (
            "--status restricted",
            "No user in the list of acme has the status restricted: 2 active, 1 inactive.".to_owned(),
        ),
        ("--role coadmin", "No user in the list of acme has the role coadmin: 2 user, 1 admin.".to_owned()),
        (
            "--search anna@acme.com",
            format!(
                "No user in the list of acme has \"anna@acme.com\" in login, name or id. Similar logins: ann@acme.com. {why}"
            ),
        ),
        ("--search zzzzzzzzzz", format!("No user in the list of acme has \"zzzzzzzzzz\" in login, name or id. {why}")),
        (
            "--app --status inactive",
            "No user in the list of acme matches all filters together, of 3 users. Each alone: --status inactive 1, --app 1."
                .to_owned(),
        ),
        (
            "--search zzzzzzzzzz --role coadmin --no-app",
            format!(
                "No user in the list of acme has the role coadmin: 2 user, 1 admin. No user in the list of acme has \"zzzzzzzzzz\" in login, name or id. {why}"
            ),
        ),
    ] {
        for output in ["table", "wide"] {
            let output = env.run(&format!("users acme {flags} -o {output}")).await;
            assert_eq!((output.code, output.out.as_str()), (0, ""), "{flags}");
            assert_eq!(output.err, format!("{said}\n"), "{flags}");
        }
    }
    let [ann, bob, _] = three_users();
    env.publish_users("acme", &[ann, bob]).await;
    assert_eq!(env.run("users acme --app").await.err, "No user in the list of acme is an app user, of 2 users.\n");
    let removed = env.run("users acme --removed --status inactive").await.err;
    assert_eq!(removed, "No removed user of acme has the status inactive: 1 active.\n");
    let env = CliEnv::with_held_users(60, 25).await;
    let held = env.run("users acme --held --role admin").await.err;
    assert_eq!(held, "No held user of acme has the role admin: 25 user.\n");
}
