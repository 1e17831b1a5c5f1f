//! reader — another program that reads a list all the time, and counts what it sees: the list of before, the new one,
//! or one that Box never gave.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use box_sim::Enterprise;
use harness::{Error, Kubectl, Result};
use serde_json::Value;
use tokio::task::JoinSet;

/// Id, login, name and job title of everybody.
type Answer = BTreeSet<[String; 4]>;

/// What a reader saw.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// Lists that are Box's answer before the change.
    pub(crate) old: usize,
    /// Lists that are Box's answer after it.
    pub(crate) new: usize,
    /// Lists that are neither.
    pub(crate) torn: usize,
    /// There was no list to read.
    pub(crate) failed: usize,
}

/// It reads until it is asked what it saw, or is dropped.
pub(crate) struct Reader {
    task: JoinSet<()>,
    ended: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
}

/// What Box answers now.
pub(crate) fn answer(enterprise: &Enterprise) -> Answer {
    let users = enterprise.users().into_iter();
    users.map(|user| [user.id.to_string(), user.login, user.name, user.job_title]).collect()
}

impl Reader {
    /// Reads the connection's list by `kubectl boxsync users`, over and over.
    pub(crate) fn begin(plugin: Kubectl, connection: &str, old: Answer, new: Answer) -> Self {
        let (ended, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let mut task = JoinSet::new();
        let line = ["users".to_owned(), connection.to_owned(), "--output=jsonl".to_owned()];
        let (until, noted) = (Arc::clone(&ended), Arc::clone(&seen));
        task.spawn(async move {
            while !until.load(Ordering::Relaxed) {
                let list = plugin.run(&line).await.and_then(|output| output.succeeded());
                let list = list.ok().map(|text| listed(&text));
                let mut seen = noted.lock().unwrap_or_else(PoisonError::into_inner);
                match list {
                    Some(Some(list)) if list == old => seen.old += 1,
                    Some(Some(list)) if list == new => seen.new += 1,
                    Some(_) => seen.torn += 1,
                    None => seen.failed += 1,
                }
            }
        });
        Self { task, ended, seen }
    }

    /// Lets it read to the end what it reads, and no more.
    pub(crate) async fn end(mut self) -> Result<Seen> {
        self.ended.store(true, Ordering::Relaxed);
        while let Some(ended) = self.task.join_next().await {
            ended.map_err(|e| Error::new(format!("the reader: {e}")))?;
        }
        Ok(*self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The users of these lines; `None` where a line is none, or somebody is told twice.
fn listed(text: &str) -> Option<Answer> {
    let mut answer = Answer::new();
    for line in text.lines() {
        let user: Value = serde_json::from_str(line).ok()?;
        let user = ["id", "login", "name", "jobTitle"].map(|key| user[key].as_str().unwrap_or_default().to_owned());
        if !answer.insert(user) {
            return None;
        }
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn half_a_line_and_a_line_told_twice_are_no_list() {
        let ada = r#"{"id":"1","login":"ada@acme.example","name":"Ada","jobTitle":""}"#;
        assert_eq!(listed(ada).map(|users| users.len()), Some(1));
        assert!(listed(&ada[..20]).is_none() && listed(&format!("{ada}\n{ada}")).is_none());
    }
}
