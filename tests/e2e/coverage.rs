//! `kubectl boxsync coverage` against a published list, as somebody who may only read lists.

use harness::TempDir;
use serde_json::Value;

use crate::{env::E2eEnv, reading::ReaderAccount};

/// What a backup tool knows, as Excel saves it: UTF-16, tabs, a title, and names with line breaks.
fn excel_export(users: &[box_sim::User]) -> Vec<u8> {
    let time = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M").to_string();
    let rows = users.iter().map(|user| {
        format!("\"{}\n\"\t{}\tProtected\t{time}\r\n", user.name.replace('"', "\"\""), user.login.to_uppercase())
    });
    let rows: String = rows.collect();
    let text = format!("Protected users\t\t\t\r\n\r\nName\tE-Mail\tBackup Status\tLast Backup\r\n{rows}");
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_a_backup_tool_is_compared_with_the_published_list() {
    let (env, acme, operator) = E2eEnv::with_ready_acme("coverage").await;
    let reader = ReaderAccount::set_up(&env).await;
    let folder = TempDir::new("coverage").expect("scratch");
    let file = folder.path().join("backup.txt");
    let users = acme.users();
    std::fs::write(&file, excel_export(&users)).expect("written");
    let file = file.display().to_string();
    let condition = ["--where", "Backup Status=Protected", "--last-backup-column", "Last Backup"];
    let flags = [&["coverage", "acme", "--protected", &file][..], &condition, &["--max-backup-age", "48h"]].concat();
    let all = reader.run_plugin(&flags).await;
    assert_eq!(all.status.code(), Some(0), "{all:?}");
    // The reader may not get the connection, so the list has no time. Lines are wrapped.
    let text = all.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "All 1,200 users of acme have a backup of the last 2d. LIST revision 1 FILE",
        "1,200 of 1,200 rows with Backup Status=Protected, users in column E-Mail",
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }

    let (renamed, gone) = (&users[3], &users[5]);
    acme.update_user(renamed.id, |user| user.login = "renamed@acme.example".to_owned());
    acme.remove_user(gone.id).expect("there");
    acme.add_user("Grace Hopper", "grace@acme.example");
    env.run_request("acme").await;
    let changed = reader.run_plugin(&[&flags[..], &["--output", "json"]].concat()).await;
    assert_eq!((changed.status.code(), changed.stderr.as_str()), (Some(9), ""), "{changed:?}");
    let report: Value = serde_json::from_str(&changed.stdout).expect("JSON");
    assert_eq!(report["summary"], "1 of 1,200 users of acme has no backup.");
    let findings: Vec<[&str; 2]> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|finding| ["finding", "login"].map(|key| finding[key].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(
        findings,
        [["missing", "grace@acme.example"], ["earlierLogin", "renamed@acme.example"], ["surplus", gone.login.as_str()]]
    );
    let grace = reader.run_plugin(&[&flags[..], &["--grace", "48h"]].concat()).await;
    assert_eq!(grace.status.code(), Some(0), "{grace:?}");
    env.stop_and_verify(operator).await;
}
