//! The list as it is printed: tables, JSON, CSV, names. Nothing is printed before all of it was read. Pure.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use super::{
    flags::UsersOutput,
    table::{self, Column},
};
use crate::{
    api::SliceState,
    roster::{Gone, User},
};

/// Somebody in the list: the line as it is published, and what it says.
pub(super) struct Listed<'a> {
    pub(super) line: &'a str,
    pub(super) user: User<'a>,
    pub(super) state: SliceState,
}

/// Somebody who was in it.
pub(super) struct Left<'a> {
    pub(super) line: &'a str,
    pub(super) gone: Gone,
}

/// What can be printed as a listing.
pub(super) trait Row: Sized {
    fn line(&self) -> &str;
    fn login(&self) -> &str;
    fn narrow() -> Vec<Column<Self>>;
    fn wide() -> Vec<Column<Self>>;
    /// As `wide`, by the keys of the lines.
    fn keyed() -> Vec<Column<Self>>;
}

pub(super) fn write<R: Row>(out: &mut dyn Write, rows: &[R], output: UsersOutput) -> io::Result<()> {
    match output {
        UsersOutput::Table => table::write(out, &R::narrow(), rows),
        UsersOutput::Wide => table::write(out, &R::wide(), rows),
        UsersOutput::Json => array(out, rows.iter().map(Row::line)),
        UsersOutput::Jsonl => rows.iter().try_for_each(|row| line(out, row.line())),
        UsersOutput::Csv => csv(out, &R::keyed(), rows),
        UsersOutput::Name => rows.iter().try_for_each(|row| line(out, &table::shown(row.login().into()))),
    }
}

fn line(out: &mut dyn Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")
}

/// An array of what is JSON already.
pub(super) fn array<'a>(out: &mut dyn Write, lines: impl Iterator<Item = &'a str>) -> io::Result<()> {
    out.write_all(b"[")?;
    for (at, line) in lines.enumerate() {
        out.write_all(if at == 0 { b"\n" } else { b",\n" })?;
        out.write_all(line.as_bytes())?;
    }
    out.write_all(b"\n]\n")
}

fn csv<R>(out: &mut dyn Write, columns: &[Column<R>], rows: &[R]) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(columns.iter().map(|column| column.title))?;
    for row in rows {
        for column in columns {
            csv.write_field((column.of)(row).as_bytes())?;
        }
        csv.write_record(None::<&[u8]>)?;
    }
    csv.flush()
}

impl Row for Listed<'_> {
    fn line(&self) -> &str {
        self.line
    }

    fn login(&self) -> &str {
        &self.user.login
    }

    fn narrow() -> Vec<Column<Self>> {
        vec![
            Column { title: "LOGIN", of: |row| (&*row.user.login).into() },
            Column { title: "NAME", of: |row| (&*row.user.name).into() },
            Column { title: "STATUS", of: |row| (&*row.user.status).into() },
            Column { title: "ROLE", of: |row| (&*row.user.role).into() },
        ]
    }

    fn wide() -> Vec<Column<Self>> {
        let mut columns = Self::narrow();
        columns.extend([
            Column { title: "ID", of: |row: &Self| (&*row.user.id).into() },
            Column { title: "LISTED", of: |row| row.state.as_str().into() },
            Column { title: "APP", of: |row| row.user.app.to_string().into() },
            Column { title: "CREATED", of: created },
            Column { title: "JOB-TITLE", of: |row| (&*row.user.job_title).into() },
            Column { title: "LANGUAGE", of: |row| (&*row.user.language).into() },
            Column { title: "TIMEZONE", of: |row| (&*row.user.timezone).into() },
            Column { title: "SPACE", of: space },
        ]);
        columns
    }

    fn keyed() -> Vec<Column<Self>> {
        vec![
            Column { title: "id", of: |row| (&*row.user.id).into() },
            Column { title: "login", of: |row| (&*row.user.login).into() },
            Column { title: "name", of: |row| (&*row.user.name).into() },
            Column { title: "status", of: |row| (&*row.user.status).into() },
            Column { title: "role", of: |row| (&*row.user.role).into() },
            Column { title: "app", of: |row| row.user.app.to_string().into() },
            Column { title: "createdAt", of: created },
            Column { title: "jobTitle", of: |row| (&*row.user.job_title).into() },
            Column { title: "language", of: |row| (&*row.user.language).into() },
            Column { title: "timezone", of: |row| (&*row.user.timezone).into() },
            Column { title: "spaceAmount", of: space },
            Column { title: "state", of: |row| row.state.as_str().into() },
        ]
    }
}

fn created<'a>(row: &'a Listed<'_>) -> Cow<'a, str> {
    row.user.created_at.map(|t| t.to_string()).unwrap_or_default().into()
}

fn space<'a>(row: &'a Listed<'_>) -> Cow<'a, str> {
    row.user.space_amount.to_string().into()
}

impl Row for Left<'_> {
    fn line(&self) -> &str {
        self.line
    }

    fn login(&self) -> &str {
        &self.gone.login
    }

    fn narrow() -> Vec<Column<Self>> {
        vec![
            Column { title: "LOGIN", of: |row| row.gone.login.as_str().into() },
            Column { title: "NAME", of: |row| row.gone.name.as_str().into() },
            Column { title: "LAST-STATUS", of: |row| row.gone.last_status.as_str().into() },
            Column { title: "REMOVED", of: |row| row.gone.removed_at.to_string().into() },
        ]
    }

    fn wide() -> Vec<Column<Self>> {
        let mut columns = Self::narrow();
        columns.push(Column { title: "ID", of: |row| row.gone.id.as_str().into() });
        columns
    }

    fn keyed() -> Vec<Column<Self>> {
        vec![
            Column { title: "id", of: |row| row.gone.id.as_str().into() },
            Column { title: "login", of: |row| row.gone.login.as_str().into() },
            Column { title: "name", of: |row| row.gone.name.as_str().into() },
            Column { title: "lastStatus", of: |row| row.gone.last_status.as_str().into() },
            Column { title: "removedAt", of: |row| row.gone.removed_at.to_string().into() },
        ]
    }
}
