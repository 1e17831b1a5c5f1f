//! The rows of an export: CSV with any of the usual delimiters, JSON lines, or plain lines. Pure.

use std::{borrow::Cow, ops::ControlFlow};

use csv::{ReaderBuilder, StringRecord, Trim};
use serde_json::{Map, Value};

/// In the order of preference, where two explain a file equally well.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];
/// The part of a file that shows its delimiter, in bytes.
const SAMPLE_BYTES: usize = 1 << 16;
/// A row of CSV that takes more lines has a quotation mark that is never closed.
const MAX_LINES_OF_ROW: u64 = 50;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowFormat {
    JsonLines,
    /// CSV, with this delimiter.
    Delimited(u8),
    /// A value on each line; a `#` at its start or behind a blank begins a comment.
    PlainLines,
}

/// How the rows of a text are written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout<'t> {
    pub(super) format: RowFormat,
    /// The text, from its first row on.
    text: &'t str,
    /// The number of its first line.
    first_line: u64,
}

/// What a row holds.
#[derive(Debug)]
pub(super) enum Cells<'r> {
    Record(&'r StringRecord),
    Object(&'r Map<String, Value>),
    Value(&'r str),
    /// Why the row cannot be read.
    Broken(&'static str),
}

impl Cells<'_> {
    /// The cell of the column with this position and name; empty if the row has none.
    pub(super) fn read_cell(&self, position: usize, name: &str) -> Cow<'_, str> {
        match self {
            Self::Record(record) => record.get(position).unwrap_or_default().into(),
            Self::Object(object) => {
                let other_case =
                    || object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
                match object.get(name).or_else(other_case) {
                    Some(Value::String(text)) => text.trim().into(),
                    Some(Value::Null) | None => "".into(),
                    Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
                        other.to_string().into()
                    }
                }
            }
            Self::Value(value) if position == 0 => (*value).into(),
            Self::Value(_) | Self::Broken(_) => "".into(),
        }
    }
}

impl<'t> Layout<'t> {
    /// # Errors
    /// The text is JSON, but no lines of it. The sentence continues the name of the file.
    pub(super) fn detect(text: &'t str) -> Result<Self, String> {
        let (mut text, mut first_line, mut announced) = (text, 1, None);
        // What Excel and PowerShell write above the header.
        while let Some((line, rest)) = text.split_once('\n') {
            let line = line.trim().trim_matches('"');
            match (line.strip_prefix("sep=").or(line.strip_prefix("SEP=")).map(str::as_bytes), line) {
                (Some([delimiter]), _) => announced = Some(*delimiter),
                (Some([]), _) => announced = Some(b'\t'),
                (None, line) if line.is_empty() || line.starts_with("#TYPE ") => {}
                (Some(_) | None, _) => break,
            }
            text = rest;
            first_line += 1;
        }
        let format = match (announced, text.trim_start().as_bytes().first()) {
            (None, Some(b'{')) => RowFormat::JsonLines,
            (None, Some(b'[')) => {
                return Err("is a JSON array. Write an object on each line instead, as jq -c '.[]' does.".to_owned());
            }
            (announced, _) => announced.or(guess_delimiter(text)).map_or(RowFormat::PlainLines, RowFormat::Delimited),
        };
        Ok(Self { format, text, first_line })
    }

    /// Visits the rows with the numbers of their lines, without blank ones.
    pub(super) fn for_each_row(&self, visit: impl FnMut(u64, &Cells<'_>) -> ControlFlow<()>) {
        match self.format {
            RowFormat::Delimited(delimiter) => self.for_each_record(delimiter, visit),
            RowFormat::JsonLines | RowFormat::PlainLines => self.for_each_line(visit),
        }
    }

    fn for_each_line(&self, mut visit: impl FnMut(u64, &Cells<'_>) -> ControlFlow<()>) {
        for (number, line) in (self.first_line..).zip(self.text.lines()) {
            let line = line.trim();
            let flow = match self.format {
                _ if line.is_empty() => continue,
                RowFormat::JsonLines => match serde_json::from_str::<Map<String, Value>>(line) {
                    Ok(object) => visit(number, &Cells::Object(&object)),
                    Err(_) => visit(number, &Cells::Broken("it is no JSON object")),
                },
                RowFormat::PlainLines | RowFormat::Delimited(_) => {
                    let value = line.split(" #").next().unwrap_or_default().trim().trim_matches('"').trim();
                    if value.is_empty() || value.starts_with('#') {
                        continue;
                    }
                    visit(number, &Cells::Value(value))
                }
            };
            if flow.is_break() {
                return;
            }
        }
    }

    fn for_each_record(&self, delimiter: u8, mut visit: impl FnMut(u64, &Cells<'_>) -> ControlFlow<()>) {
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .trim(Trim::All)
            .from_reader(self.text.as_bytes());
        let bytes = self.text.as_bytes();
        let count_lines = |from: usize, to: usize| bytes[from..to].iter().filter(|byte| **byte == b'\n').count() as u64;
        let offset_of = |position: &csv::Position| usize::try_from(position.byte()).unwrap_or(bytes.len());
        // The number of the line at this offset.
        let (mut offset, mut line) = (0, self.first_line);
        let mut record = StringRecord::new();
        // Reading valid text from memory does not fail.
        while reader.read_record(&mut record).is_ok_and(|more| more) {
            let start = record.position().map_or(offset, offset_of).clamp(offset, bytes.len());
            let start = start + bytes[start..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            line += count_lines(offset, start);
            let end = offset_of(reader.position()).clamp(start, bytes.len());
            let unclosed = count_lines(start, end) > MAX_LINES_OF_ROW;
            let flow = match (unclosed, record.iter().all(str::is_empty)) {
                (true, _) => visit(line, &Cells::Broken("a quotation mark opens in this row and is not closed")),
                (false, true) => ControlFlow::Continue(()),
                (false, false) => visit(line, &Cells::Record(&record)),
            };
            line += count_lines(start, end);
            offset = end;
            if flow.is_break() {
                return;
            }
        }
    }
}

/// The delimiter that most rows have equally often; `None` if no row has any.
fn guess_delimiter(text: &str) -> Option<u8> {
    let rows = count_delimiters(&text[..text.floor_char_boundary(SAMPLE_BYTES)]);
    let score = |at: usize| {
        let counts = rows.iter().map(|counts| counts[at]).filter(|count| *count > 0);
        let mut sorted: Vec<usize> = counts.collect();
        sorted.sort_unstable();
        sorted.chunk_by(|a, b| a == b).map(|equal| (equal.len(), equal[0])).max().unwrap_or_default()
    };
    // The last of equals wins, so the preferred one comes last.
    let best = (0..DELIMITERS.len()).rev().max_by_key(|at| score(*at))?;
    (score(best) > (0, 0)).then(|| DELIMITERS[best])
}

/// How often each row has each of the delimiters outside of quotes.
fn count_delimiters(text: &str) -> Vec<[usize; DELIMITERS.len()]> {
    let mut rows = vec![[0; DELIMITERS.len()]];
    let (mut quoted, mut at_start) = (false, true);
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let delimiter = DELIMITERS.iter().position(|delimiter| *delimiter == byte);
        match (byte, delimiter) {
            // Two quotation marks within quotes are one.
            (b'"', _) if quoted => quoted = bytes.next_if_eq(&b'"').is_some(),
            (b'"', _) if at_start => quoted = true,
            (b'\n', _) if !quoted => rows.push([0; DELIMITERS.len()]),
            (_, Some(at)) if !quoted => {
                if let Some(row) = rows.last_mut() {
                    row[at] += 1;
                }
            }
            (_, _) => {}
        }
        at_start = !quoted && (byte == b'\n' || delimiter.is_some());
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(text: &str) -> Layout<'_> {
        Layout::detect(text).expect("rows")
    }

    fn rows(text: &str) -> Vec<(u64, Vec<String>)> {
        let mut rows = Vec::new();
        layout(text).for_each_row(|line, cells| {
            rows.push((
                line,
                match cells {
                    Cells::Record(record) => record.iter().map(str::to_owned).collect(),
                    Cells::Object(object) => object.iter().map(|(key, value)| format!("{key}={value}")).collect(),
                    Cells::Value(value) => vec![(*value).to_owned()],
                    Cells::Broken(why) => vec![format!("({why})")],
                },
            ));
            ControlFlow::Continue(())
        });
        rows
    }

    #[test]
    fn the_delimiter_is_the_one_that_all_rows_have() {
        for (text, format) in [
            ("Name,Email\nAnn,a@x\n", RowFormat::Delimited(b',')),
            ("Name;Email;Size\nArcher, Ann;a@x;1,5\nBaker, Bob;b@x;2,5\n", RowFormat::Delimited(b';')),
            ("Name\tEmail\nArcher, Ann\ta@x\nBaker, Bob; Dr.\tb@x\n", RowFormat::Delimited(b'\t')),
            ("\"Archer, Ann\";a@x\n\"Baker, Bob\";b@x\n", RowFormat::Delimited(b';')),
            ("Name\tEmail\n\"\"\";;\"\ta@x\n", RowFormat::Delimited(b'\t')),
            ("Report of 1, 2 and 3\nName;Email\nAnn;a@x\nBob;b@x\n", RowFormat::Delimited(b';')),
            ("sep=;\r\nName\r\nAnn\r\n", RowFormat::Delimited(b';')),
            ("a@x\nb@x\n", RowFormat::PlainLines),
            ("", RowFormat::PlainLines),
            ("{\"user\":\"a@x\"}\n", RowFormat::JsonLines),
        ] {
            assert_eq!(layout(text).format, format, "{text:?}");
        }
        assert!(Layout::detect("[{\"a\":1}]").is_err_and(|e| e.contains("jq -c")));
    }

    #[test]
    fn rows_have_the_numbers_of_their_lines_whatever_precedes_them() {
        let row = |line, cells: &[&str]| (line, cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
        let expected = [row(3, &["Name", "Email"]), row(5, &["Ann\nArcher", "a@x"]), row(7, &["Bob", "b@x"])];
        for newline in ["\n", "\r\n"] {
            let text = "sep=;\n\nName; Email \n\n\"Ann\nArcher\"; a@x\nBob;b@x".replace('\n', newline);
            let found: Vec<_> =
                rows(&text).into_iter().map(|(line, cells)| (line, cells.join("|").replace('\r', ""))).collect();
            assert_eq!(found, expected.clone().map(|(line, cells)| (line, cells.join("|"))), "{newline:?}");
        }
        assert_eq!(
            rows("#TYPE System.Object\n# ours\n a@x # room 4\n\n\"b@x\"\n"),
            [row(3, &["a@x"]), row(5, &["b@x"])]
        );
        assert_eq!(
            rows("{\"a\":1}\n\n{\"a\":\nx\n{\"b\":\"2\"}"),
            [
                row(1, &["a=1"]),
                row(3, &["(it is no JSON object)"]),
                row(4, &["(it is no JSON object)"]),
                row(5, &["b=\"2\""])
            ]
        );
    }

    #[test]
    fn a_quotation_mark_that_is_not_closed_is_a_broken_row() {
        let text = format!("Name,Email\nAnn,a@x\n\"Bob,b@x\n{}", "c,c@x\n".repeat(60));
        let found = rows(&text);
        assert_eq!((found.len(), found[2].0), (3, 3));
        assert!(found[2].1[0].contains("quotation mark"), "{found:?}");
    }

    #[test]
    fn a_value_of_json_is_read_as_text_and_its_key_in_any_case() {
        let object = serde_json::from_str("{\"User\":\" a@x \",\"id\":2001,\"on\":true,\"none\":null}").expect("JSON");
        let cells = Cells::Object(&object);
        let read = ["user", "id", "ON", "none", "other"].map(|name| cells.read_cell(0, name).into_owned());
        assert_eq!(read, ["a@x", "2001", "true", "", ""]);
    }
}
