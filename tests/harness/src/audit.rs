//! The API server's requests, read from its audit log.
//!
//! The API server, the controller manager and the tests write too, so filter by user. A line is written after the
//! response, so the log may lag behind the caller; [`AuditLog::wait_until_idle`] waits.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Deserialize;

use crate::error::{Error, Result};

/// The user name of a ServiceAccount in the audit log and in RBAC.
pub fn service_account_user(namespace: &str, account: &str) -> String {
    format!("system:serviceaccount:{namespace}:{account}")
}

pub struct AuditLog {
    log: PathBuf,
}

/// A position in the log.
#[derive(Clone, Copy, Debug)]
pub struct LogOffset(u64);

/// One request.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    pub user: String,
    /// As in RBAC: get, list, watch, create, update, patch, delete, deletecollection.
    pub verb: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    /// 0 while a watch is open.
    pub code: u16,
    /// When the request was received.
    pub time: Timestamp,
    pub uri: String,
}

impl AuditEntry {
    pub fn is_write(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection")
    }
}

impl AuditLog {
    pub(crate) fn open(log: PathBuf) -> Self {
        Self { log }
    }

    /// The current end of the log.
    pub fn end_offset(&self) -> LogOffset {
        LogOffset(fs::metadata(&self.log).map_or(0, |metadata| metadata.len()))
    }

    /// All completed requests and started watches since the offset.
    pub fn entries_since(&self, mark: LogOffset) -> AuditEntries {
        let mut bytes = Vec::new();
        if let Ok(mut file) = File::open(&self.log)
            && file.seek(SeekFrom::Start(mark.0)).is_ok()
        {
            let _ = file.read_to_end(&mut bytes);
        }
        let mut entries: Vec<(String, AuditEntry)> = Vec::new();
        // A partially written last line does not parse and belongs to the next read.
        for line in bytes.split(|byte| *byte == b'\n') {
            let Ok(event) = serde_json::from_slice::<AuditEvent>(line) else { continue };
            let id = event.audit_id.clone();
            if event.verb != "watch" || event.stage == "ResponseStarted" {
                entries.push((id, event.into()));
                continue;
            }
            // A watch is logged when it starts and when it ends. One without a start here was started before the
            // offset, or rejected.
            match entries.iter_mut().rev().find(|(known, _)| *known == id) {
                Some((_, entry)) => *entry = event.into(),
                None if event.response_status.code < 400 => {}
                None => entries.push((id, event.into())),
            }
        }
        AuditEntries(entries.into_iter().map(|(_, entry)| entry).collect())
    }

    /// All requests since the start of the control plane.
    pub fn all_entries(&self) -> AuditEntries {
        self.entries_since(LogOffset(0))
    }

    /// The number of write requests of this user since the offset, including rejected ones.
    pub fn count_writes(&self, user: &str, mark: LogOffset) -> usize {
        self.entries_since(mark).by_user(user).only_writes().len()
    }

    /// Waits until the user has not written anything except Leases for `idle_for`. Returns the end of the log.
    pub async fn wait_until_idle(&self, user: &str, idle_for: Duration, limit: Duration) -> Result<LogOffset> {
        let deadline = Instant::now() + limit;
        let mut mark = self.end_offset();
        let mut since = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let now = self.end_offset();
            let writes = self.entries_since(mark).by_user(user).only_writes().without_resource("leases");
            if !writes.is_empty() {
                (mark, since) = (now, Instant::now());
            }
            if since.elapsed() >= idle_for {
                return Ok(self.end_offset());
            }
            if Instant::now() >= deadline {
                return Err(Error::new(format!("{user} is still writing after {limit:?}:\n{writes}")));
            }
        }
    }
}

/// Requests with filters: `audit.entries_since(offset).by_user(user).only_writes().without_resource("leases")`.
#[derive(Clone, Debug)]
pub struct AuditEntries(Vec<AuditEntry>);

impl AuditEntries {
    #[must_use]
    pub fn by_user(self, user: &str) -> Self {
        self.filter(|entry| entry.user == user)
    }

    #[must_use]
    pub fn only_writes(self) -> Self {
        self.filter(AuditEntry::is_write)
    }

    #[must_use]
    pub fn with_resource(self, resource: &str) -> Self {
        self.filter(|entry| entry.resource == resource)
    }

    #[must_use]
    pub fn without_resource(self, resource: &str) -> Self {
        self.filter(|entry| entry.resource != resource)
    }

    #[must_use]
    pub fn filter(mut self, keep: impl Fn(&AuditEntry) -> bool) -> Self {
        self.0.retain(keep);
        self
    }
}

impl std::ops::Deref for AuditEntries {
    type Target = [AuditEntry];

    fn deref(&self) -> &[AuditEntry] {
        &self.0
    }
}

impl std::fmt::Display for AuditEntries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for entry in &self.0 {
            let AuditEntry { user, verb, resource: _, subresource: _, namespace: _, name: _, code, time, uri } = entry;
            writeln!(f, "{time:.3} {code:3} {user} {verb} {uri}")?;
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuditEvent {
    #[serde(rename = "auditID")]
    audit_id: String,
    stage: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    verb: String,
    user: AuditUser,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: ResponseStatus,
    request_received_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct AuditUser {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResponseStatus {
    code: u16,
}

impl From<AuditEvent> for AuditEntry {
    fn from(event: AuditEvent) -> Self {
        let AuditEvent {
            audit_id: _,
            stage: _,
            request_uri,
            verb,
            user,
            object_ref,
            response_status,
            request_received_timestamp,
        } = event;
        let ObjectRef { resource, subresource, namespace, name } = object_ref;
        Self {
            user: user.username,
            verb,
            resource,
            subresource,
            namespace,
            name,
            code: response_status.code,
            time: request_received_timestamp,
            uri: request_uri,
        }
    }
}
