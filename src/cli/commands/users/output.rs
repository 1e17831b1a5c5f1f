//! The output formats of `users`: tables, JSON, CSV and names. Pure.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use super::UsersOutput;
use crate::{
    api::SliceState,
    cli::output::table::{self, Column},
    roster::{PublishedUser, RemovedUser},
};

/// A listed user: the published line, and its parsed content.
pub(crate) struct UserRow<'a> {
    pub(crate) json: &'a str,
    pub(crate) user: PublishedUser<'a>,
    pub(crate) state: SliceState,
}

/// A removed user.
pub(crate) struct RemovedRow<'a> {
    pub(crate) json: &'a str,
    pub(crate) user: RemovedUser,
}

/// A row of the output.
pub(crate) trait OutputRow: Sized {
    fn json_line(&self) -> &str;
    fn login(&self) -> &str;
    fn table_columns() -> Vec<Column<Self>>;
    fn wide_columns() -> Vec<Column<Self>>;
    /// The columns of `wide`, titled with the JSON keys.
    fn csv_columns() -> Vec<Column<Self>>;
}

pub(crate) fn write_rows<R: OutputRow>(out: &mut dyn Write, rows: &[R], output: UsersOutput) -> io::Result<()> {
    match output {
        UsersOutput::Table => table::write_table(out, &R::table_columns(), rows),
        UsersOutput::Wide => table::write_table(out, &R::wide_columns(), rows),
        UsersOutput::Json => write_json_array(out, rows.iter().map(OutputRow::json_line)),
        UsersOutput::Jsonl => rows.iter().try_for_each(|row| write_line(out, row.json_line())),
        UsersOutput::Csv => write_csv(out, &R::csv_columns(), rows),
        UsersOutput::Name => {
            rows.iter().try_for_each(|row| write_line(out, &table::replace_control_chars(row.login().into())))
        }
    }
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

fn write_csv<R>(out: &mut dyn Write, columns: &[Column<R>], rows: &[R]) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(columns.iter().map(|column| column.title))?;
    for row in rows {
        for column in columns {
            csv.write_field((column.cell)(row).as_bytes())?;
        }
        csv.write_record(None::<&[u8]>)?;
    }
    csv.flush()
}

impl OutputRow for UserRow<'_> {
    fn json_line(&self) -> &str {
        self.json
    }

    fn login(&self) -> &str {
        &self.user.login
    }

    fn table_columns() -> Vec<Column<Self>> {
        vec![
            Column { title: "LOGIN", cell: |row| (&*row.user.login).into() },
            Column { title: "NAME", cell: |row| (&*row.user.name).into() },
            Column { title: "STATUS", cell: |row| (&*row.user.status).into() },
            Column { title: "ROLE", cell: |row| (&*row.user.role).into() },
        ]
    }

    fn wide_columns() -> Vec<Column<Self>> {
        let mut columns = Self::table_columns();
        columns.extend([
            Column { title: "ID", cell: |row: &Self| (&*row.user.id).into() },
            Column { title: "LISTED", cell: |row| row.state.as_str().into() },
            Column { title: "APP", cell: |row| row.user.app.to_string().into() },
            Column { title: "CREATED", cell: created_cell },
            Column { title: "JOB-TITLE", cell: |row| (&*row.user.job_title).into() },
            Column { title: "LANGUAGE", cell: |row| (&*row.user.language).into() },
            Column { title: "TIMEZONE", cell: |row| (&*row.user.timezone).into() },
            Column { title: "SPACE", cell: space_cell },
        ]);
        columns
    }

    fn csv_columns() -> Vec<Column<Self>> {
        vec![
            Column { title: "id", cell: |row| (&*row.user.id).into() },
            Column { title: "login", cell: |row| (&*row.user.login).into() },
            Column { title: "name", cell: |row| (&*row.user.name).into() },
            Column { title: "status", cell: |row| (&*row.user.status).into() },
            Column { title: "role", cell: |row| (&*row.user.role).into() },
            Column { title: "app", cell: |row| row.user.app.to_string().into() },
            Column { title: "createdAt", cell: created_cell },
            Column { title: "jobTitle", cell: |row| (&*row.user.job_title).into() },
            Column { title: "language", cell: |row| (&*row.user.language).into() },
            Column { title: "timezone", cell: |row| (&*row.user.timezone).into() },
            Column { title: "spaceAmount", cell: space_cell },
            Column { title: "state", cell: |row| row.state.as_str().into() },
        ]
    }
}

fn created_cell<'a>(row: &'a UserRow<'_>) -> Cow<'a, str> {
    row.user.created_at.map(|t| t.to_string()).unwrap_or_default().into()
}

fn space_cell<'a>(row: &'a UserRow<'_>) -> Cow<'a, str> {
    row.user.space_amount.to_string().into()
}

impl OutputRow for RemovedRow<'_> {
    fn json_line(&self) -> &str {
        self.json
    }

    fn login(&self) -> &str {
        &self.user.login
    }

    fn table_columns() -> Vec<Column<Self>> {
        vec![
            Column { title: "LOGIN", cell: |row| row.user.login.as_str().into() },
            Column { title: "NAME", cell: |row| row.user.name.as_str().into() },
            Column { title: "LAST-STATUS", cell: |row| row.user.last_status.as_str().into() },
            Column { title: "REMOVED", cell: |row| row.user.removed_at.to_string().into() },
        ]
    }

    fn wide_columns() -> Vec<Column<Self>> {
        let mut columns = Self::table_columns();
        columns.push(Column { title: "ID", cell: |row| row.user.id.as_str().into() });
        columns
    }

    fn csv_columns() -> Vec<Column<Self>> {
        vec![
            Column { title: "id", cell: |row| row.user.id.as_str().into() },
            Column { title: "login", cell: |row| row.user.login.as_str().into() },
            Column { title: "name", cell: |row| row.user.name.as_str().into() },
            Column { title: "lastStatus", cell: |row| row.user.last_status.as_str().into() },
            Column { title: "removedAt", cell: |row| row.user.removed_at.to_string().into() },
        ]
    }
}
