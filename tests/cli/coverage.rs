//! `coverage`: the list compared with exports of backup tools.

use std::fs;

use boxsync::user_list::User;
use harness::TempDir;
use serde_json::Value;

use crate::env::{CliEnv, CliOutput, PIPE, TERMINAL, TestIo, user_record};

/// Runs the command with this export on standard input.
async fn run_with_export(env: &CliEnv, export: &str, flags: &str) -> CliOutput {
    let io = TestIo { input: export, ..PIPE };
    env.run_with_io(io, &format!("coverage acme --protected - {flags}")).await
}

fn ten_users() -> Vec<(String, String)> {
    (0..10).map(|n| (format!("{}", 2001 + n), format!("user{n}@acme.com"))).collect()
}

/// A list of ten users; then `user0` got another login, `user1` left, and `new` was hired yesterday.
pub(crate) async fn env_with_history() -> CliEnv {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 10);
    let names = ten_users();
    let mut users: Vec<User<'_>> = names.iter().map(|(id, login)| user_record(id, login, "User")).collect();
    env.publish_users("acme", &users).await;
    users[0].login = "renamed@acme.com";
    users[9].app = true;
    users.remove(1);
    let yesterday = env.clock.now().as_second() - 86_400;
    users.push(User { created_at: Some(yesterday), ..user_record("2011", "new@acme.com", "New") });
    env.publish_users("acme", &users).await;
    env
}

/// The logins at the start, in a table with a state.
fn old_export() -> String {
    let rows = ten_users().into_iter().map(|(_, login)| format!("{login};Protected;2026-11-22 03:00\r\n"));
    format!("User Email;Backup Status;Last Backup\r\n{}", rows.collect::<String>())
}

#[tokio::test(start_paused = true)]
async fn who_has_no_backup_is_named_with_what_else_is_to_be_known() {
    let env = env_with_history().await;
    let output = run_with_export(&env, &old_export(), "").await;
    assert_eq!(
        output.out,
        "\
1 of 10 users of acme has no backup.
  LIST  revision 2 of 2026-11-22 09:00Z (3h ago)
  FILE  standard input: 10 rows, users in column User Email

No backup: 1
USER           NAME   NOTE
new@acme.com   New    created 2026-11-21 12:00Z, not in the file

Backup under an earlier login: 1
USER               NAME   LINE   NOTE
renamed@acme.com   User   2      in the file as user0@acme.com

In the file, but not in the list: 1
USER             NAME   LINE   NOTE
user1@acme.com   User   3      removed from the list on 2026-11-22 12:00Z
"
    );
    assert_eq!((output.code, output.err.as_str()), (9, ""));
}

#[tokio::test(start_paused = true)]
async fn with_grace_nobody_is_missing_and_the_exit_code_says_so() {
    let env = env_with_history().await;
    let output = run_with_export(&env, &old_export(), "--grace 48h").await;
    assert_eq!(output.code, 0, "{}", output.out);
    assert!(
        output.out.starts_with("9 of 10 users of acme have a backup; 1 was created within 2d (in grace).\n"),
        "{}",
        output.out
    );
    assert!(output.out.contains("\nNo backup yet, in grace: 1\n"), "{}", output.out);
}

#[tokio::test(start_paused = true)]
async fn conditions_and_ages_of_backups_decide_who_is_covered() {
    let env = env_with_history().await;
    let export = old_export()
        .replace("user3@acme.com;Protected", "user3@acme.com;Paused")
        .replace("user4@acme.com;Protected;2026-11-22", "user4@acme.com;protected;2026-11-02")
        .replace("user5@acme.com;Protected;2026-11-22 03:00", "user5@acme.com;Protected;11/22/2026");
    let directory = TempDir::new("coverage").expect("scratch");
    // A command line of a test is split at blanks.
    let export = export.replace("Backup Status", "State").replace("Last Backup", "Last");
    let file = directory.path().join("export.csv");
    let utf16: Vec<u8> = std::iter::once(0xfeff).chain(export.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    fs::write(&file, utf16).expect("written");
    let flags = "--where STATE=Protected --last-backup-column last --max-backup-age 24h --grace 48h";
    let output = env.run(&format!("coverage acme --protected {} {flags} -o csv", file.display())).await;
    let kinds: Vec<String> =
        output.stdout_lines().iter().map(|line| line.split(',').take(3).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        kinds,
        [
            "finding id login",
            "missing 2004 user3@acme.com",
            "backupTooOld 2005 user4@acme.com",
            "backupTimeUnclear 2006 user5@acme.com",
            "inGrace 2011 new@acme.com",
            "earlierLogin 2001 renamed@acme.com",
            "surplus 2002 user1@acme.com",
        ]
    );
    assert_eq!(output.code, 9);
    let text = env.run(&format!("coverage acme --protected {} {flags}", file.display())).await.out;
    for words in [
        "1 of 10 users of acme has no backup; 1 has a backup that is older than 24h; 1 has a backup whose time",
        "9 of 10 rows with STATE=Protected, users in column User Email",
        "in the file with STATE Paused",
        "last backup \"11/22/2026\": 01/02/2026 may be",
    ] {
        assert!(text.contains(words), "{words:?} in {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_export_that_is_not_whole_is_said_to_be_that() {
    let env = env_with_history().await;
    let names: Vec<String> = ten_users().into_iter().map(|(_, login)| login).collect();
    for (export, flags, words) in [
        (
            String::new(),
            "",
            "standard input has no rows, and the list 10 users of acme. An empty file does not mean that nobody is protected.",
        ),
        ("Login,State\n".to_owned(), "", "standard input has no rows"),
        (names[..3].join("\n"), "", "standard input names only 2 of 10 users of acme. Is it the whole export?"),
        (
            old_export().replace("Protected", "Paused").replace("Backup Status", "State"),
            "--where State=Protected",
            "0 of 10 rows of standard input meet State=Protected (line 2 has State Paused), and they name 0 of 10 users of acme. Is the condition right?",
        ),
        (
            "Name,Login\nAnn,x\nBob,y\n".to_owned(),
            "--column Name",
            "2 of 2 rows of standard input have neither a login nor an id in column \"Name\" (line 2: \"Ann\"). Is it the right one? See --column.",
        ),
        (
            "a@globex.com\nb@globex.com\n".to_owned(),
            "",
            "standard input names 0 of 10 users of acme, and 2 who are not in the list (line 1: \"a@globex.com\"). Is it of another enterprise,",
        ),
    ] {
        let output = run_with_export(&env, &export, flags).await;
        assert_eq!((output.code, output.out.as_str()), (1, ""), "{export}");
        assert!(output.err.starts_with(&format!("error: {words}")), "{} is not {words}", output.err);
        assert!(output.err.ends_with(" Nothing was compared; --partial compares all the same.\n"), "{}", output.err);
        let partial = run_with_export(&env, &export, &format!("{flags} --partial -o jsonl")).await;
        assert_eq!(partial.code, 9, "{}", partial.err);
        assert!(partial.out.lines().count() >= 8, "{}", partial.out);
    }
}

#[tokio::test(start_paused = true)]
async fn filters_select_who_needs_a_backup() {
    let env = env_with_history().await;
    let export: Vec<String> = (2001..2010).map(|id| id.to_string()).collect();
    let missing = async |flags: &str| {
        let output = run_with_export(&env, &export.join("\n"), &format!("{flags} -o jsonl")).await;
        let found = output.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let ids: Vec<String> = found.filter(|f| f["finding"] == "missing").map(|f| f["id"].to_string()).collect();
        (ids.join(" "), output.code)
    };
    assert_eq!(missing("").await, ("\"2010\" \"2011\"".to_owned(), 9));
    assert_eq!(missing("--no-app").await, ("\"2011\"".to_owned(), 9));
    assert_eq!(missing("--no-app --search user").await, (String::new(), 0));
    let nobody = run_with_export(&env, "2001\n", "--search nobody --partial").await;
    assert_eq!(nobody.err, "error: no user of acme matches --search nobody, so there is nobody to compare.\n");
    assert_eq!(nobody.code, 1);
    let unknown = run_with_export(&env, "2001\n", "--status activ").await;
    assert!(unknown.code == 64 && unknown.err.contains("Did you mean active?"), "{}", unknown.err);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_read_is_a_usage_error() {
    let env = env_with_history().await;
    for (export, flags, words) in [
        ("Login,Size\na@x,1\n", "--column Who", "standard input has no column \"Who\". Its columns: Login, Size."),
        ("Login,Size\na@x,1\n", "--where Status=ok", "standard input has no column \"Status\"."),
        ("Name,Size\nAnn,1\n", "", "standard input has no column that looks like logins or ids of Box. Name it"),
        ("PK\u{3}\u{4}", "", "standard input is a workbook or an archive, not text. Save it as CSV."),
        ("[{\"login\":\"a@x\"}]", "", "standard input is a JSON array."),
    ] {
        let output = run_with_export(&env, export, flags).await;
        assert_eq!((output.code, output.out.as_str()), (64, ""), "{export}");
        assert!(output.err.starts_with(&format!("error: {words}")), "{}", output.err);
    }
    let output = env.run("coverage acme --protected /no/such/file").await;
    assert!(output.code == 64 && output.err.contains("/no/such/file cannot be read"), "{}", output.err);
}

#[tokio::test(start_paused = true)]
async fn an_old_list_is_told_and_a_missing_one_is_no_empty_one() {
    let env = env_with_history().await;
    let names: Vec<String> = (2001..2012).map(|id| id.to_string()).collect();
    let export = names.join("\n");
    let limited = run_with_export(&env, &export, "--max-age 90m").await;
    assert_eq!((limited.code, limited.out.as_str()), (6, ""));
    env.clock.advance(std::time::Duration::from_secs(3 * 86_400));
    let stale = run_with_export(&env, &export, "").await;
    assert!(stale.out.starts_with("All 10 users of acme have a backup.\n") && stale.code == 0, "{}", stale.out);
    assert_eq!(
        stale.err,
        "note: the list of acme has been stale since 2026-11-24 09:00Z: users whom Box has got since are not compared. See kubectl boxsync status acme -n backup.\n"
    );
    env.create_connection("globex");
    let io = TestIo { input: &export, ..PIPE };
    let none = env.run_with_io(io, "coverage globex --protected -").await;
    assert!(none.code == 7 && none.err.contains("(that is not an empty list)"), "{}", none.err);
}

#[tokio::test(start_paused = true)]
async fn long_sections_end_with_how_to_see_the_rest() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 60);
    let names: Vec<_> = (0..60).map(|n| ((2000 + n).to_string(), format!("user{n}@acme.com"))).collect();
    let users: Vec<User<'_>> = names.iter().map(|(id, login)| user_record(id, login, "User")).collect();
    env.publish_users("acme", &users).await;
    let export: Vec<&str> = names.iter().take(30).map(|(id, _)| id.as_str()).collect();
    let io = TestIo { input: &export.join("\n"), width: 80, ..TERMINAL };
    let output = env.run_with_io(io, "coverage acme --protected -").await;
    assert!(output.out.ends_with("\n… and 10 more: -o csv prints all\n"), "{}", output.out);
    assert_eq!(run_with_export(&env, &export.join("\n"), "-o csv").await.stdout_lines().len(), 31);
}

#[tokio::test(start_paused = true)]
async fn a_cell_that_a_spreadsheet_takes_for_a_formula_is_marked_unless_the_texts_are_wanted() {
    let env = env_with_history().await;
    let export = format!("{}=1+1;Protected;\n", old_export());
    let marked = run_with_export(&env, &export, "-o csv").await.out;
    assert!(marked.ends_with("\nnotUnderstood,,,,,,12,'=1+1,it is neither a login nor an id\n"), "{marked}");
    let raw = run_with_export(&env, &export, "-o csv --raw").await.out;
    assert_eq!(raw, marked.replace("'=1+1", "=1+1"));
}
