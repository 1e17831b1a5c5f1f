//! What a backup tool's export says: a record for each row, with what the comparison needs of it. Pure.

use std::{fmt, ops::ControlFlow, str::FromStr};

use super::{
    columns::{Columns, clean_user},
    decode::decode_export,
    rows::{Cells, Layout},
};
use crate::text::clamp_text;

/// What is quoted of a cell.
const MAX_CELL_CHARS: usize = 120;
/// A time that is longer is none.
const MAX_TIME_BYTES: usize = 80;

/// A condition of `--where`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowCondition {
    column: String,
    value: String,
}

impl FromStr for RowCondition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((column, value)) if !column.trim().is_empty() => {
                Ok(Self { column: column.trim().to_owned(), value: value.trim().to_owned() })
            }
            _ => Err("write COLUMN=VALUE, such as \"Backup Status=Protected\"".to_owned()),
        }
    }
}

/// As on the command line.
impl fmt::Display for RowCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.column, self.value)
    }
}

impl RowCondition {
    /// What a row has instead of the value.
    fn find_other(&self, cell: &str) -> Option<String> {
        let cell = cell.trim();
        (cell.to_lowercase() != self.value.to_lowercase()).then(|| match cell {
            "" => format!("no {}", self.column),
            cell => format!("{} {}", self.column, clamp_text(cell, MAX_CELL_CHARS)),
        })
    }
}

/// What is read of an export.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ExportSelection<'a> {
    pub(crate) column: Option<&'a str>,
    pub(crate) conditions: &'a [RowCondition],
    pub(crate) last_backup_column: Option<&'a str>,
}

/// The rows of an export, without a header and blank rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Export {
    /// The column of the users; `None` if the file has only one.
    pub(crate) column: Option<String>,
    pub(crate) records: Vec<ExportRecord>,
    /// The lines of rows that cannot be read, and why.
    pub(crate) broken: Vec<(u64, &'static str)>,
}

/// A row of an export.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ExportRecord {
    pub(crate) line: u64,
    /// A login or an id, if the tool says what it should.
    pub(crate) user: String,
    /// What it has instead of a condition's value: `Backup Status Paused`.
    pub(crate) unmet: Option<String>,
    /// The cell with the time of the last backup; empty if no column was named.
    pub(crate) last_backup: String,
}

/// # Errors
/// It cannot be read, or lacks a column that the command names. The sentence continues the name of the file.
pub(crate) fn parse_export(bytes: &[u8], selection: &ExportSelection<'_>) -> Result<Export, String> {
    let text = decode_export(bytes)?;
    let layout = Layout::detect(&text)?;
    let ExportSelection { column, conditions, last_backup_column } = *selection;
    let wanted: Vec<&str> = [column, last_backup_column]
        .into_iter()
        .flatten()
        .chain(conditions.iter().map(|condition| condition.column.as_str()))
        .collect();
    let columns = Columns::detect(&layout, &wanted);
    // A file without any row has no column that could be missing.
    let find = |name: &str| if columns.names.is_empty() { Ok(0) } else { columns.find(name) };
    let user = column.map_or_else(|| columns.find_users(), find)?;
    let last_backup = last_backup_column.map(find).transpose()?;
    let conditions = conditions.iter().map(|condition| Ok((find(&condition.column)?, condition)));
    let conditions: Vec<(usize, &RowCondition)> = conditions.collect::<Result<_, String>>()?;
    let mut export = Export {
        column: columns
            .names
            .get(user)
            .filter(|_| columns.names.len() > 1)
            .map(|name| clamp_text(name, MAX_CELL_CHARS)),
        ..Export::default()
    };
    let mut rows_before = columns.rows_before;
    layout.for_each_row(|line, cells| {
        if let Cells::Broken(why) = cells {
            export.broken.push((line, why));
            return ControlFlow::Continue(());
        }
        if rows_before > 0 {
            rows_before -= 1;
            return ControlFlow::Continue(());
        }
        let cell = |at: usize| cells.read_cell(at, columns.names.get(at).map_or("", String::as_str));
        let unmet = conditions.iter().find_map(|(at, condition)| condition.find_other(&cell(*at)));
        let time = last_backup.map(cell).unwrap_or_default();
        export.records.push(ExportRecord {
            line,
            user: clean_user(&cell(user)).to_owned(),
            unmet,
            last_backup: time.get(..MAX_TIME_BYTES).unwrap_or(&time).trim().to_owned(),
        });
        ControlFlow::Continue(())
    });
    Ok(export)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str, selection: &ExportSelection<'_>) -> Export {
        parse_export(text.as_bytes(), selection).expect("an export")
    }

    fn users(export: &Export) -> Vec<&str> {
        export.records.iter().map(|record| record.user.as_str()).collect()
    }

    #[test]
    fn an_export_is_read_as_it_is() {
        let conditions = ["backup status=protected".parse().expect("a condition")];
        let selection =
            ExportSelection { column: None, conditions: &conditions, last_backup_column: Some("last BACKUP") };
        let text = "sep=;\r\nUser;E-Mail;Backup Status;Last Backup\r\n\"Archer; Ann\";Ann@acme.com ;Protected;2026-11-22\r\n;;;\r\nBob;bob@acme.com;Paused;\r\nCleo;cleo@acme.com;;\r\n";
        let export = parse(text, &selection);
        let record = |line, user: &str, unmet: Option<&str>, last_backup: &str| ExportRecord {
            line,
            user: user.to_owned(),
            unmet: unmet.map(str::to_owned),
            last_backup: last_backup.to_owned(),
        };
        assert_eq!(
            export,
            Export {
                column: Some("E-Mail".to_owned()),
                records: vec![
                    record(3, "Ann@acme.com", None, "2026-11-22"),
                    record(5, "bob@acme.com", Some("backup status Paused"), ""),
                    record(6, "cleo@acme.com", Some("no backup status"), ""),
                ],
                broken: Vec::new(),
            }
        );
        let utf16: Vec<u8> = std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        assert_eq!(parse_export(&utf16, &selection), Ok(export));
    }

    #[test]
    fn lines_and_json_lines_are_exports_too() {
        let all = ExportSelection::default();
        assert_eq!(users(&parse("# ours\nann@acme.com\n2001\n", &all)), ["ann@acme.com", "2001"]);
        let json = "{\"user\":{\"id\":1},\"login\":\"ann@acme.com\"}\n{\"login\":2001}\nno\n";
        let export = parse(json, &all);
        assert_eq!((users(&export), export.broken.len()), (vec!["ann@acme.com", "2001"], 1));
        let by_key = ExportSelection { column: Some("WHO"), ..all };
        assert_eq!(users(&parse("{\"who\":\"a\",\"login\":\"b\"}\n", &by_key)), ["a"]);
        for empty in ["", "\n \n", "\u{feff}", "Login,Status\n", "sep=;\n"] {
            assert_eq!(users(&parse(empty, &all)), Vec::<&str>::new(), "{empty:?}");
        }
    }

    #[test]
    fn a_condition_has_a_column_and_a_value_that_may_be_empty() {
        for (text, column, value) in [("A b=c=d", "A b", "c=d"), (" a = ", "a", "")] {
            let condition = RowCondition { column: column.to_owned(), value: value.to_owned() };
            assert_eq!(text.parse(), Ok(condition), "{text}");
        }
        for text in ["a", "=b", ""] {
            assert!(text.parse::<RowCondition>().is_err(), "{text:?}");
        }
        let missing = ["Status=ok".parse().expect("a condition")];
        let selection = ExportSelection { conditions: &missing, ..ExportSelection::default() };
        let error = parse_export(b"Login,Size\na@x,1\n", &selection).expect_err("no such column");
        assert_eq!(error, "has no column \"Status\". Its columns: Login, Size.");
    }

    proptest! {
        #[test]
        fn no_file_ends_the_program(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            parse_export(&bytes, &ExportSelection::default()).ok();
        }

        #[test]
        fn no_login_of_a_file_is_lost(
            logins in prop::collection::vec("[a-z]{1,8}@[a-z]{1,8}\\.com", 1..50),
            names in prop::collection::vec("[A-Za-z ,;\"\n]{0,12}", 50),
            delimiter in prop::sample::select(vec![b',', b';', b'\t']),
        ) {
            let mut csv = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
            csv.write_record(["Name", "Login", "Status"]).expect("memory");
            for (name, login) in names.iter().zip(&logins) {
                csv.write_record([name, login.as_str(), "ok"]).expect("memory");
            }
            let export = parse_export(&csv.into_inner().expect("memory"), &ExportSelection::default()).expect("an export");
            prop_assert_eq!(users(&export), logins);
        }
    }
}
