//! `users` for jobs: a file that is whole or not there, parts of the users, and lists that are waited for.

use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

use boxsync::user_list::User;
use harness::TempDir;
use tokio::time::{Instant, sleep};

use crate::env::{CliEnv, CliOutput, NAMESPACE, three_users, user_record};

/// A folder for the file.
struct OutFolder(TempDir);

impl OutFolder {
    fn new() -> Self {
        Self(TempDir::new("out").expect("scratch"))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("ids")
    }

    fn content(&self) -> Option<String> {
        fs::read_to_string(self.file()).ok()
    }

    async fn run(&self, env: &CliEnv, flags: &str) -> CliOutput {
        env.run(&format!("users acme -o id --out {} {flags}", self.file().display())).await
    }

    /// Nothing is left beside it.
    fn assert_names(&self, names: &[&str]) {
        let found = fs::read_dir(self.0.path()).expect("readable");
        let found: Vec<_> =
            found.map(|entry| entry.expect("readable").file_name().into_string().expect("text")).collect();
        assert_eq!(found, names);
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_has_what_would_be_printed() {
    let (env, folder) = (CliEnv::with_three_users().await, OutFolder::new());
    let output = folder.run(&env, "").await;
    let told = format!("Wrote 3 users of acme, revision 1, to {}.\n", folder.file().display());
    assert_eq!((output.code, output.out.as_str(), output.err), (0, "", told));
    assert_eq!(folder.content().as_deref(), Some("2001\n2002\n2003\n"));
    for format in ["table", "wide", "json", "yaml", "jsonl", "csv", "name", "id"] {
        let printed = env.run(&format!("users acme -o {format} --no-app")).await.out;
        let line = format!("users acme -o {format} --no-app --out {}", folder.file().display());
        assert_eq!(env.run(&line).await.out, "");
        assert_eq!(folder.content(), Some(printed), "{format}");
    }
    assert_eq!(env.run("users acme -o id --out -").await.out, "2001\n2002\n2003\n");
    folder.assert_names(&["ids"]);
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_the_file_stays_as_it_was() {
    let (env, folder) = (CliEnv::with_three_users().await, OutFolder::new());
    for earlier in [None, Some("an earlier list\n")] {
        if let Some(earlier) = earlier {
            fs::write(folder.file(), earlier).expect("written");
        }
        for (flags, code, said) in [
            ("--max-age 1s", 6, "the limit is 1s"),
            ("--min-users 4", 10, "only 3 users of acme (revision 1) match. --min-users asks for 4 at least."),
            ("--no-app --min-users 3", 10, "only 2 users of acme (revision 1) match. --min-users asks for 3 at least."),
            ("--search nobody", 10, "has \"nobody\" in login, name or id."),
            ("--held", 10, "No removals are held for acme. A file with nobody needs --min-users 0."),
            ("--status actve", 64, "Did you mean active?"),
        ] {
            let output = folder.run(&env, flags).await;
            assert_eq!((output.code, output.out.as_str()), (code, ""), "{flags}: {output:?}");
            assert!(output.err.contains(said), "{flags}: {}", output.err);
            assert_eq!(code == 10, output.err.contains(&format!("{} was not written.", folder.file().display())));
            assert_eq!(folder.content().as_deref(), earlier, "{flags}");
        }
    }
    env.delete_slices(&["Live"]);
    assert_eq!(folder.run(&env, "").await.code, 8);
    env.kube.delete("UserRoster", NAMESPACE, "acme");
    assert_eq!(folder.run(&env, "").await.code, 7);
    assert_eq!(folder.content().as_deref(), Some("an earlier list\n"));
    folder.assert_names(&["ids"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_written_only_where_that_is_asked_for() {
    let (env, folder) = (CliEnv::with_three_users().await, OutFolder::new());
    assert_eq!(folder.run(&env, "--search nobody --min-users 0").await.code, 0);
    assert_eq!(folder.content().as_deref(), Some(""));
    // Printed, nobody is an answer, unless there must be somebody.
    assert_eq!(env.run("users acme --search nobody -o id").await.code, 0);
    let output = env.run("users acme --search nobody -o id --min-users 1").await;
    assert_eq!((output.code, output.err.contains("not written")), (10, false));
    let output = env.run("users acme --search nobody -o id --min-users 1 --out -").await;
    assert_eq!((output.code, output.err.contains("not written")), (10, false), "- is no file");
}

#[tokio::test(start_paused = true)]
async fn a_place_that_cannot_be_written_is_refused_before_the_cluster_is_asked() {
    let env = CliEnv::new();
    for path in ["/missing/ids", "/dev/null", "/"] {
        let output = env.run(&format!("users acme --out {path}")).await;
        assert_eq!((output.code, output.out.as_str()), (64, ""), "{path}");
        assert!(output.err.starts_with(&format!("error: {path} cannot be written: ")), "{}", output.err);
    }
}

#[tokio::test(start_paused = true)]
async fn shards_share_the_users_and_a_new_user_moves_nobody() {
    let env = CliEnv::new();
    env.create_ready_connection("acme", 200);
    let ids: Vec<String> = (0..200).map(|n| (7_000 + 13 * n).to_string()).collect();
    let users: Vec<User<'_>> = ids.iter().map(|id| user_record(id, "", "User")).collect();
    env.publish_users("acme", &users[..150]).await;
    let read = async || {
        let mut shards: Vec<BTreeSet<String>> = Vec::new();
        for index in 0..3 {
            // The least number is that of all users, not of one shard.
            let output = env.run(&format!("users acme -o id --shard {index}/3 --min-users 150")).await;
            shards.push(output.stdout_lines().into_iter().map(str::to_owned).collect());
        }
        shards
    };
    let before = read().await;
    assert_eq!(before.iter().map(BTreeSet::len).sum::<usize>(), 150);
    env.publish_users("acme", &users).await;
    let after = read().await;
    assert_eq!(after.iter().map(BTreeSet::len).sum::<usize>(), 200);
    for (before, after) in before.iter().zip(&after) {
        assert!(before.len() > 30 && before.is_subset(after));
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_shard_is_no_error() {
    let (env, folder) = (CliEnv::with_three_users().await, OutFolder::new());
    let mut lines = Vec::new();
    for index in 0..8 {
        assert_eq!(folder.run(&env, &format!("--shard {index}/8")).await.code, 0);
        lines.push(folder.content().expect("written").lines().count());
    }
    assert!(lines.contains(&0) && lines.iter().sum::<usize>() == 3, "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_missing_is_waited_for_and_so_is_its_connection() {
    let (env, folder) = (CliEnv::new(), OutFolder::new());
    let later = async {
        sleep(Duration::from_secs(60)).await;
        env.create_ready_connection("acme", 3);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(folder.content(), None);
        env.publish_users("acme", &three_users()).await;
    };
    let (output, ()) = tokio::join!(folder.run(&env, "--wait 5m --max-age 26h"), later);
    assert_eq!(output.code, 0, "{}", output.err);
    let waiting = "waiting up to 5m: there is no BoxConnection acme in namespace backup.";
    assert!(output.err.starts_with(waiting) && output.err.lines().count() == 2, "{}", output.err);
    assert_eq!(folder.content().as_deref(), Some("2001\n2002\n2003\n"));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_damaged_or_too_old_is_waited_for() {
    let env = CliEnv::with_three_users().await;
    let sync = async {
        sleep(Duration::from_secs(20)).await;
        let now = env.clock.now();
        env.kube.edit("BoxConnection", NAMESPACE, "acme", |c| {
            c["status"]["lastSync"]["completionTime"] = now.to_string().into();
        });
    };
    let (output, ()) = tokio::join!(env.run("users acme -o id --max-age 1h --wait 1m"), sync);
    assert_eq!((output.code, output.out.as_str()), (0, "2001\n2002\n2003\n"));
    assert!(output.err.starts_with("waiting up to 60s: the list of acme is from "), "{}", output.err);

    env.delete_slices(&["Live"]);
    let mended = async {
        sleep(Duration::from_secs(20)).await;
        env.publish_users("acme", &[three_users()[0]]).await;
    };
    let (output, ()) = tokio::join!(env.run("users acme -o id --wait 1m"), mended);
    assert_eq!((output.code, output.out.as_str()), (0, "2001\n"), "{}", output.err);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_cannot_be_reached_is_waited_for() {
    let env = CliEnv::with_three_users().await;
    env.kube.start_outage();
    let outage = async {
        sleep(Duration::from_secs(40)).await;
        env.kube.end_outage();
    };
    let (output, ()) = tokio::join!(env.run("users acme -o id --max-age 26h --wait 10m"), outage);
    assert_eq!((output.code, output.out.as_str()), (0, "2001\n2002\n2003\n"), "{}", output.err);
    assert!(output.err.starts_with("waiting up to 10m: "), "{}", output.err);
}

#[tokio::test(start_paused = true)]
async fn the_wait_has_an_end_and_what_does_not_pass_is_not_waited_for() {
    let env = CliEnv::new();
    env.create_connection("acme");
    let start = Instant::now();
    let output = env.run("users acme --wait 2m").await;
    assert_eq!((output.code, start.elapsed().as_secs()), (7, 120));
    assert!(output.err.contains("\nerror: no list of acme has been published"), "{}", output.err);

    let env = CliEnv::with_three_users().await;
    let damages: [fn(&CliEnv); 2] = [
        |env| drop(env.kube.edit("UserRoster", NAMESPACE, "acme", |roster| roster["format"] = 2.into())),
        |env| env.kube.forbid(|call| call.resource == "userrosters" && call.user == "alice"),
    ];
    for damage in damages {
        damage(&env);
        let start = Instant::now();
        let output = env.run("users acme --wait 2m").await;
        assert!(output.code == 8 && start.elapsed() < Duration::from_secs(20), "{output:?}");
        assert!(!output.err.contains("waiting"), "{}", output.err);
    }
}
