//! Where slices begin and end. Pure. The ids alone decide, so that what changes about a user, and users who come and go
//! elsewhere, move no boundary.

use std::ops::Range;

use ring::digest::{Context, SHA256, digest};

use super::List;
use super::line::{Changed, Gone, User};

const FEWEST: usize = 250;
const MOST: usize = 1_000;
/// Above the minimum, one user in so many ends a slice.
const ONE_IN: u32 = 250;
/// Of one slice's data: with its quotes escaped in JSON it stays well below what etcd takes.
pub const MOST_BYTES: usize = 512 * 1024;

/// What slices are cut from: lines sorted by id.
pub(super) trait Lines {
    fn len(&self) -> usize;
    fn id(&self, at: usize) -> &str;
    /// Appends the line, its end included.
    fn write(&self, at: usize, to: &mut Vec<u8>);
}

/// Lines that make a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) range: Range<usize>,
    pub(super) digest: String,
}

impl Cut {
    pub(super) fn count(&self) -> i64 {
        i64::try_from(self.range.len()).unwrap_or(i64::MAX)
    }
}

/// One line alone is larger than a slice may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineTooLong;

pub(super) fn cut(lines: &(impl Lines + ?Sized)) -> Result<Vec<Cut>, LineTooLong> {
    let mut cuts = Vec::new();
    let mut buffer = Vec::new();
    let mut begin = 0;
    for at in 0..lines.len() {
        let count = at + 1 - begin;
        if count >= MOST || (count >= FEWEST && ends_slice(lines.id(at))) || at + 1 == lines.len() {
            halve(lines, begin..at + 1, &mut buffer, &mut cuts)?;
            begin = at + 1;
        }
    }
    Ok(cuts)
}

fn halve(
    lines: &(impl Lines + ?Sized),
    range: Range<usize>,
    buffer: &mut Vec<u8>,
    cuts: &mut Vec<Cut>,
) -> Result<(), LineTooLong> {
    buffer.clear();
    for at in range.clone() {
        lines.write(at, buffer);
    }
    if buffer.len() <= MOST_BYTES {
        cuts.push(Cut { range, digest: hex(digest(&SHA256, buffer).as_ref()) });
        return Ok(());
    }
    if range.len() == 1 {
        return Err(LineTooLong);
    }
    let middle = range.start + range.len() / 2;
    halve(lines, range.start..middle, buffer, cuts)?;
    halve(lines, middle..range.end, buffer, cuts)
}

/// The data of a slice.
pub(super) fn data(lines: &(impl Lines + ?Sized), range: Range<usize>) -> String {
    let mut data = Vec::new();
    for at in range {
        lines.write(at, &mut data);
    }
    String::from_utf8(data).expect("JSON is UTF-8")
}

fn ends_slice(id: &str) -> bool {
    let digest = digest(&SHA256, id.as_bytes());
    let [a, b, c, d, ..] = *digest.as_ref() else { return false };
    u32::from_be_bytes([a, b, c, d]).is_multiple_of(ONE_IN)
}

/// The name of a slice: one that a connection created anew never shares with its predecessor of the same name. `salt`
/// is empty unless that name is taken by a slice that nobody names.
pub(super) fn name(connection: &str, uid: &str, state: &str, digest: &str, salt: &str) -> String {
    let mut context = Context::new(&SHA256);
    for part in [uid, state, digest, salt] {
        context.update(part.as_bytes());
        context.update(b"\n");
    }
    format!("{connection}-{}", &hex(context.finish().as_ref())[..16])
}

/// SHA-256 as all digests are written: lower-case hex.
pub fn digest_of(data: &[u8]) -> String {
    hex(digest(&SHA256, data).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn line(value: &impl serde::Serialize, to: &mut Vec<u8>) {
    serde_json::to_writer(&mut *to, value).expect("texts and numbers always serialize");
    to.push(b'\n');
}

impl Lines for List {
    fn len(&self) -> usize {
        List::len(self)
    }

    fn id(&self, at: usize) -> &str {
        List::id_at(self, at)
    }

    fn write(&self, at: usize, to: &mut Vec<u8>) {
        line(&User::of(self.get(at)), to);
    }
}

impl Lines for [Gone] {
    fn len(&self) -> usize {
        <[Gone]>::len(self)
    }

    fn id(&self, at: usize) -> &str {
        &self[at].id
    }

    fn write(&self, at: usize, to: &mut Vec<u8>) {
        line(&self[at], to);
    }
}

impl Lines for [Changed] {
    fn len(&self) -> usize {
        <[Changed]>::len(self)
    }

    fn id(&self, at: usize) -> &str {
        &self[at].id
    }

    fn write(&self, at: usize, to: &mut Vec<u8>) {
        line(&self[at], to);
    }
}
