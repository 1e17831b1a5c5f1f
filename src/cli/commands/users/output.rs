//! The output formats of `users`: tables, JSON, YAML, CSV and names. Pure.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use super::{UsersOutput, filter::UserFilter};
use crate::{
    api::SliceState,
    cli::{
        exit_code::CliError,
        output::{
            table::{self, Column},
            yaml::list_to_yaml,
        },
    },
    roster::{PublishedUser, RemovedUser},
};

/// A row of the output: the published line, and its parsed content.
pub(crate) struct OutputRow<'a, U> {
    pub(crate) json: &'a str,
    pub(crate) user: U,
    pub(crate) state: SliceState,
}

/// A column with its titles in CSV (the JSON key) and in tables.
pub(crate) type UserColumn<R> = (&'static str, &'static str, fn(&R) -> Cow<'_, str>);

/// A user in a row.
pub(crate) trait OutputUser: Sized {
    /// The columns of tables by their index in `columns`; the first four are those of the narrow table.
    const TABLE_ORDER: &'static [usize];

    fn login(&self) -> &str;
    fn matches(&self, filter: &UserFilter) -> bool;
    /// In the order of CSV.
    fn columns<'a>() -> Vec<UserColumn<OutputRow<'a, Self>>>;

    fn table_columns<'a>(count: usize) -> Vec<Column<OutputRow<'a, Self>>> {
        let columns = Self::columns();
        let chosen = Self::TABLE_ORDER.iter().take(count).map(|at| columns[*at]);
        chosen.map(|(_, title, cell)| Column { title, cell }).collect()
    }
}

pub(crate) fn write_rows<U: OutputUser>(
    out: &mut dyn Write,
    rows: &[OutputRow<'_, U>],
    output: UsersOutput,
) -> Result<(), CliError> {
    match output {
        UsersOutput::Table => table::write_table(out, &U::table_columns(4), rows),
        UsersOutput::Wide => table::write_table(out, &U::table_columns(usize::MAX), rows),
        UsersOutput::Json => write_json_array(out, rows.iter().map(|row| row.json)),
        UsersOutput::Yaml => out.write_all(list_to_yaml(rows.iter().map(|row| row.json))?.as_bytes()),
        UsersOutput::Jsonl => rows.iter().try_for_each(|row| write_line(out, row.json)),
        UsersOutput::Csv => write_csv(out, rows),
        UsersOutput::Name => {
            rows.iter().try_for_each(|row| write_line(out, &table::replace_control_chars(row.user.login().into())))
        }
    }?;
    Ok(())
}

fn write_line(out: &mut dyn Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")
}

/// Writes lines that are JSON already as an array.
pub(crate) fn write_json_array<'a>(out: &mut dyn Write, lines: impl Iterator<Item = &'a str>) -> io::Result<()> {
    out.write_all(b"[")?;
    for (at, line) in lines.enumerate() {
        out.write_all(if at == 0 { b"\n" } else { b",\n" })?;
        out.write_all(line.as_bytes())?;
    }
    out.write_all(b"\n]\n")
}

fn write_csv<U: OutputUser>(out: &mut dyn Write, rows: &[OutputRow<'_, U>]) -> io::Result<()> {
    let columns = U::columns();
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(columns.iter().map(|(key, ..)| key))?;
    for row in rows {
        for (_, _, cell) in &columns {
            csv.write_field(cell(row).as_bytes())?;
        }
        csv.write_record(None::<&[u8]>)?;
    }
    csv.flush()
}

impl OutputUser for PublishedUser<'_> {
    const TABLE_ORDER: &'static [usize] = &[1, 2, 3, 4, 0, 11, 5, 6, 7, 8, 9, 10];

    fn login(&self) -> &str {
        &self.login
    }

    fn matches(&self, filter: &UserFilter) -> bool {
        filter.matches_published(self)
    }

    fn columns<'a>() -> Vec<UserColumn<OutputRow<'a, Self>>> {
        vec![
            ("id", "ID", |row| (&*row.user.id).into()),
            ("login", "LOGIN", |row| (&*row.user.login).into()),
            ("name", "NAME", |row| (&*row.user.name).into()),
            ("status", "STATUS", |row| (&*row.user.status).into()),
            ("role", "ROLE", |row| (&*row.user.role).into()),
            ("app", "APP", |row| row.user.app.to_string().into()),
            ("createdAt", "CREATED", |row| row.user.created_at.map(|t| t.to_string()).unwrap_or_default().into()),
            ("jobTitle", "JOB-TITLE", |row| (&*row.user.job_title).into()),
            ("language", "LANGUAGE", |row| (&*row.user.language).into()),
            ("timezone", "TIMEZONE", |row| (&*row.user.timezone).into()),
            ("spaceAmount", "SPACE", |row| row.user.space_amount.to_string().into()),
            ("state", "LISTED", |row| row.state.as_str().into()),
        ]
    }
}

impl OutputUser for RemovedUser {
    const TABLE_ORDER: &'static [usize] = &[1, 2, 3, 4, 0];

    fn login(&self) -> &str {
        &self.login
    }

    fn matches(&self, filter: &UserFilter) -> bool {
        filter.matches_removed(self)
    }

    fn columns<'a>() -> Vec<UserColumn<OutputRow<'a, Self>>> {
        vec![
            ("id", "ID", |row| row.user.id.as_str().into()),
            ("login", "LOGIN", |row| row.user.login.as_str().into()),
            ("name", "NAME", |row| row.user.name.as_str().into()),
            ("lastStatus", "LAST-STATUS", |row| row.user.last_status.as_str().into()),
            ("removedAt", "REMOVED", |row| row.user.removed_at.to_string().into()),
        ]
    }
}
