//! Content-defined chunking of records into slices. Pure. Boundaries depend only on ids, so that a changed user, or users
//! added and removed elsewhere, move no boundary.

use std::ops::Range;

use ring::digest::{Context, SHA256, digest};

use super::records::{ChangeRecord, PublishedUser, RemovedUser};
use crate::user_list::UserList;

const MIN_SLICE_RECORDS: usize = 250;
const MAX_SLICE_RECORDS: usize = 1_000;
/// Above the minimum, one in this many users ends a slice.
const BOUNDARY_MODULUS: u32 = 250;
/// Maximum size of a slice's data: with its quotes escaped in JSON it stays well below etcd's limit for one object.
pub const MAX_SLICE_BYTES: usize = 512 * 1024;

/// Records sorted by id, to be split into slices.
pub(super) trait RecordSource {
    fn len(&self) -> usize;
    fn record_id(&self, at: usize) -> &str;
    /// Appends the record as a line, including the line feed.
    fn write_record(&self, at: usize, to: &mut Vec<u8>);
}

/// The records of one slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) range: Range<usize>,
    pub(super) digest: String,
}

impl Chunk {
    pub(super) fn record_count(&self) -> i64 {
        i64::try_from(self.range.len()).unwrap_or(i64::MAX)
    }
}

/// A single record exceeds the slice size limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordTooLarge;

pub(super) fn split_into_chunks(records: &(impl RecordSource + ?Sized)) -> Result<Vec<Chunk>, RecordTooLarge> {
    let mut chunks = Vec::new();
    let mut buffer = Vec::new();
    let mut start = 0;
    for at in 0..records.len() {
        let count = at + 1 - start;
        if count >= MAX_SLICE_RECORDS
            || (count >= MIN_SLICE_RECORDS && is_slice_boundary(records.record_id(at)))
            || at + 1 == records.len()
        {
            split_oversized(records, start..at + 1, &mut buffer, &mut chunks)?;
            start = at + 1;
        }
    }
    Ok(chunks)
}

fn split_oversized(
    records: &(impl RecordSource + ?Sized),
    range: Range<usize>,
    buffer: &mut Vec<u8>,
    chunks: &mut Vec<Chunk>,
) -> Result<(), RecordTooLarge> {
    buffer.clear();
    for at in range.clone() {
        records.write_record(at, buffer);
    }
    if buffer.len() <= MAX_SLICE_BYTES {
        chunks.push(Chunk { range, digest: to_hex(digest(&SHA256, buffer).as_ref()) });
        return Ok(());
    }
    if range.len() == 1 {
        return Err(RecordTooLarge);
    }
    let middle = range.start + range.len() / 2;
    split_oversized(records, range.start..middle, buffer, chunks)?;
    split_oversized(records, middle..range.end, buffer, chunks)
}

/// The data of a slice.
pub(super) fn render_records(records: &(impl RecordSource + ?Sized), range: Range<usize>) -> String {
    let mut data = Vec::new();
    for at in range {
        records.write_record(at, &mut data);
    }
    String::from_utf8(data).expect("JSON is UTF-8")
}

fn is_slice_boundary(id: &str) -> bool {
    let digest = digest(&SHA256, id.as_bytes());
    let [a, b, c, d, ..] = *digest.as_ref() else { return false };
    u32::from_be_bytes([a, b, c, d]).is_multiple_of(BOUNDARY_MODULUS)
}

/// The name of a slice. It contains the owner's UID, so that a recreated connection never shares names with its
/// predecessor. `salt` is empty unless the name is taken by an unreferenced slice.
pub(super) fn slice_name(connection: &str, uid: &str, state: &str, digest: &str, salt: &str) -> String {
    let mut context = Context::new(&SHA256);
    for part in [uid, state, digest, salt] {
        context.update(part.as_bytes());
        context.update(b"\n");
    }
    format!("{connection}-{}", &to_hex(context.finish().as_ref())[..16])
}

/// SHA-256 in lower-case hex, the form of all digests.
pub fn sha256_hex(data: &[u8]) -> String {
    to_hex(digest(&SHA256, data).as_ref())
}

fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn write_json_line(value: &impl serde::Serialize, to: &mut Vec<u8>) {
    serde_json::to_writer(&mut *to, value).expect("strings and numbers always serialize");
    to.push(b'\n');
}

impl RecordSource for UserList {
    fn len(&self) -> usize {
        UserList::len(self)
    }

    fn record_id(&self, at: usize) -> &str {
        UserList::id_at(self, at)
    }

    fn write_record(&self, at: usize, to: &mut Vec<u8>) {
        write_json_line(&PublishedUser::from_user(self.user_at(at)), to);
    }
}

impl RecordSource for [RemovedUser] {
    fn len(&self) -> usize {
        <[RemovedUser]>::len(self)
    }

    fn record_id(&self, at: usize) -> &str {
        &self[at].id
    }

    fn write_record(&self, at: usize, to: &mut Vec<u8>) {
        write_json_line(&self[at], to);
    }
}

impl RecordSource for [ChangeRecord] {
    fn len(&self) -> usize {
        <[ChangeRecord]>::len(self)
    }

    fn record_id(&self, at: usize) -> &str {
        &self[at].id
    }

    fn write_record(&self, at: usize, to: &mut Vec<u8>) {
        write_json_line(&self[at], to);
    }
}
