//! `users`: filters, formats, age, and lists that are not there.

use boxsync::roster::{Entry, Status};

use crate::town::{Town, three, user};

async fn published() -> Town {
    let town = Town::new();
    town.ready("acme", 3);
    town.publish("acme", &three()).await;
    town
}

#[tokio::test(start_paused = true)]
async fn the_list_is_printed_as_a_table() {
    let said = published().await.ask("users acme").await;
    assert_eq!(
        said.out,
        "\
LOGIN                     NAME         STATUS     ROLE
ann@acme.com              Ann Archer   active     admin
bob@acme.com              Bob Baker    inactive   user
robot@boxdevedition.com   Robot        active     user
"
    );
    assert_eq!((said.code, said.err.as_str()), (0, ""));
}

#[tokio::test(start_paused = true)]
async fn filters_narrow_the_list_together() {
    let town = published().await;
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
        let said = town.ask(&format!("users acme -o name {flags}")).await;
        assert_eq!(said.lines().join(" "), logins, "{flags}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_lines_of_the_list_are_handed_on_as_they_are() {
    let town = published().await;
    let ann = r#"{"id":"2001","login":"ann@acme.com","name":"Ann Archer","status":"active","role":"admin","app":false,"createdAt":"2023-11-14T22:13:20Z","jobTitle":"Clerk","language":"en","timezone":"Europe/Berlin","spaceAmount":-1}"#;
    assert_eq!(town.ask("users acme --role admin -o jsonl").await.out, format!("{ann}\n"));
    assert_eq!(town.ask("users acme --role admin -o json").await.out, format!("[\n{ann}\n]\n"));
    assert_eq!(town.ask("users acme --search nobody -o json").await.out, "[\n]\n");
    let all: serde_json::Value = serde_json::from_str(&town.ask("users acme -o json").await.out).expect("JSON");
    assert_eq!(all.as_array().map(Vec::len), Some(3));
}

#[tokio::test(start_paused = true)]
async fn csv_has_a_header_and_quotes_what_needs_it() {
    let town = Town::new();
    town.ready("acme", 1);
    town.publish("acme", &[user("1", "ann@acme.com", "Archer, \"Ann\"")]).await;
    assert_eq!(
        town.ask("users acme -o csv").await.out,
        "\
id,login,name,status,role,app,createdAt,jobTitle,language,timezone,spaceAmount,state
1,ann@acme.com,\"Archer, \"\"Ann\"\"\",active,user,false,2023-11-14T22:13:20Z,Clerk,en,Europe/Berlin,-1,Live
"
    );
}

#[tokio::test(start_paused = true)]
async fn a_name_in_box_cannot_steer_the_terminal() {
    let town = Town::new();
    town.ready("acme", 1);
    town.publish("acme", &[user("1", "ann@acme.com", "Ann\x1b[31m")]).await;
    assert!(!town.ask("users acme").await.out.contains('\x1b'));
}

#[tokio::test(start_paused = true)]
async fn those_who_are_held_are_part_of_the_list_and_marked() {
    let town = Town::new();
    town.ready("acme", 40);
    let names: Vec<(String, String)> = (0..40).map(|n| ((2000 + n).to_string(), format!("user{n}@acme.com"))).collect();
    let all: Vec<Entry<'_>> = names.iter().map(|(id, login)| user(id, login, "User")).collect();
    town.publish("acme", &all).await;
    town.publish("acme", all.get(20..).expect("forty")).await;
    assert_eq!(town.ask("users acme -o name").await.lines().len(), 40);
    assert_eq!(town.ask("users acme -o name --held").await.lines().len(), 20);
    let wide = town.ask("users acme -o wide --search user7@").await.out;
    assert!(wide.contains("Held") && !wide.contains("Live"), "{wide}");
}

#[tokio::test(start_paused = true)]
async fn those_who_are_gone_are_told_with_their_last_status() {
    let town = published().await;
    town.publish("acme", &[three()[0], three()[2]]).await;
    assert_eq!(
        town.ask("users acme --removed").await.out,
        "LOGIN          NAME        LAST-STATUS   REMOVED\nbob@acme.com   Bob Baker   inactive      2026-11-22T12:00:00Z\n"
    );
    assert_eq!(town.ask("users acme --removed --status active -o name").await.out, "");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_too_old_has_an_exit_code_of_its_own() {
    let town = published().await;
    assert_eq!(town.ask("users acme --max-age 3h").await.code, 0);
    let said = town.ask("users acme --max-age 90m").await;
    assert_eq!((said.code, said.out.as_str()), (6, ""));
    assert_eq!(
        said.err,
        "error: the list of acme is of 2026-11-22T09:00:00Z, 3h old, and may be 90m. Fetch a new one with kubectl boxsync sync acme -n backup --wait.\n"
    );
}

#[tokio::test(start_paused = true)]
async fn no_list_is_not_an_empty_list() {
    let town = Town::new();
    town.connection("acme");
    for line in ["users acme", "users acme --max-age 1h", "changes acme", "why acme x@acme.com"] {
        let said = town.ask(line).await;
        assert_eq!((said.code, said.out.as_str()), (7, ""), "{line}");
        assert!(
            said.err.starts_with("error: no list of acme has been published (that is not an empty list)."),
            "{}",
            said.err
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_that_box_adds_later_can_be_asked_for() {
    let town = Town::new();
    town.ready("acme", 1);
    town.publish("acme", &[Entry { status: Status::Other("on_leave"), ..user("1", "ann@acme.com", "Ann") }]).await;
    assert_eq!(town.ask("users acme --status on_leave -o name").await.out, "ann@acme.com\n");
}
