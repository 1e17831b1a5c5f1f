//! `users`: filters, formats, the age of a list, and missing lists.

use boxsync::user_list::{User, UserStatus};

use crate::env::{CliEnv, three_users, user_record};

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
id,login,name,status,role,app,createdAt,jobTitle,language,timezone,spaceAmount,state
1,ann@acme.com,\"Archer, \"\"Ann\"\"\",active,user,false,2023-11-14T22:13:20Z,Clerk,en,Europe/Berlin,-1,Live
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
        assert!(flags.contains("--role") || output.err.ends_with(&format!("{known}\n")), "{}", output.err);
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
    let header = "id,login,name,status,role,app,createdAt,jobTitle,language,timezone,spaceAmount,state\n";
    assert_eq!(
        env.run("users acme -o csv").await.out,
        format!(
            "{header}1,'+ann@acme.com,\"' =HYPERLINK(\"\"x\"\")\u{fffd}[2J\",active,user,false,2023-11-14T22:13:20Z,a;'@b,en,'＝1,-1,Live\n"
        )
    );
    assert_eq!(
        env.run("users acme -o csv --raw").await.out,
        format!(
            "{header}1,+ann@acme.com,\" =HYPERLINK(\"\"x\"\")\x1b[2J\",active,user,false,2023-11-14T22:13:20Z,a;@b,en,＝1,-1,Live\n"
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
