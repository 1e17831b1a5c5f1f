//! A reader that keeps reading a list and counts the results: the old list, the new list, or a torn one.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use box_sim::Enterprise;
use harness::{Error, Kubectl, Result};
use serde_json::Value;
use tokio::task::JoinSet;

/// Id, login, name and job title of every user.
type UserSet = BTreeSet<[String; 4]>;

/// The results of a reader.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReadCounts {
    /// Reads of the list before the change.
    pub(crate) old: usize,
    /// Reads of the list after the change.
    pub(crate) new: usize,
    /// Reads of any other list.
    pub(crate) torn: usize,
    /// Failed reads.
    pub(crate) failed: usize,
}

/// Reads until it is finished or dropped.
pub(crate) struct ListReader {
    task: JoinSet<()>,
    stop: Arc<AtomicBool>,
    counts: Arc<Mutex<ReadCounts>>,
}

/// The current users in Box.
pub(crate) fn box_users(enterprise: &Enterprise) -> UserSet {
    let users = enterprise.users().into_iter();
    users.map(|user| [user.id.to_string(), user.login, user.name, user.job_title]).collect()
}

impl ListReader {
    /// Reads the connection's list by `kubectl boxsync users`, over and over.
    pub(crate) fn spawn(plugin: Kubectl, connection: &str, old: UserSet, new: UserSet) -> Self {
        let (stop, counts) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(ReadCounts::default())));
        let mut task = JoinSet::new();
        let line = ["users".to_owned(), connection.to_owned(), "--output=jsonl".to_owned()];
        let (stop_flag, shared_counts) = (Arc::clone(&stop), Arc::clone(&counts));
        task.spawn(async move {
            while !stop_flag.load(Ordering::Relaxed) {
                let list = plugin.run(&line).await.and_then(|output| output.into_stdout());
                let list = list.ok().map(|text| parse_users(&text));
                let mut counts = shared_counts.lock().unwrap_or_else(PoisonError::into_inner);
                match list {
                    Some(Some(list)) if list == old => counts.old += 1,
                    Some(Some(list)) if list == new => counts.new += 1,
                    Some(_) => counts.torn += 1,
                    None => counts.failed += 1,
                }
            }
        });
        Self { task, stop, counts }
    }

    /// Stops after the current read.
    pub(crate) async fn finish(mut self) -> Result<ReadCounts> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(joined) = self.task.join_next().await {
            joined.map_err(|e| Error::new(format!("list reader failed: {e}")))?;
        }
        Ok(*self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The users of these lines; `None` if a line is invalid or a duplicate.
fn parse_users(text: &str) -> Option<UserSet> {
    let mut users = UserSet::new();
    for line in text.lines() {
        let user: Value = serde_json::from_str(line).ok()?;
        let user = ["id", "login", "name", "jobTitle"].map(|key| user[key].as_str().unwrap_or_default().to_owned());
        if !users.insert(user) {
            return None;
        }
    }
    Some(users)
}

#[cfg(test)]
mod tests {
    use super::parse_users;

    #[test]
    fn partial_and_duplicate_lines_are_rejected() {
        let ada = r#"{"id":"1","login":"ada@acme.example","name":"Ada","jobTitle":""}"#;
        assert_eq!(parse_users(ada).map(|users| users.len()), Some(1));
        assert!(parse_users(&ada[..20]).is_none() && parse_users(&format!("{ada}\n{ada}")).is_none());
    }
}
