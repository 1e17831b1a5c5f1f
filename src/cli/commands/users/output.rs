//! The output formats of `users`: tables, JSON, YAML, CSV and names. Pure.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use super::{
    args::{UsersArgs, UsersOutput},
    filter::UserFilter,
};
use crate::{
    api::SliceState,
    cli::{
        exit_code::CliError,
        output::{
            csv_cell::spreadsheet_cell,
            format::display_login,
            sink::Output,
            table::{self, Column},
            yaml::list_to_yaml,
        },
    },
    roster::{PublishedUser, RemovedUser},
    text::clean_line,
    user_list::CodesByName,
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

    fn id(&self) -> &str;
    fn login(&self) -> &str;
    fn status(&self) -> &str;
    fn role(&self) -> Option<&str>;
    fn tracking_code(&self, name: &str) -> Option<&str>;
    fn tracking_code_names(&self) -> impl Iterator<Item = &str>;
    fn matches(&self, filter: &UserFilter) -> bool;
    /// In the order of CSV.
    fn columns<'a>() -> Vec<UserColumn<OutputRow<'a, Self>>>;

    fn table_columns<'a>(count: usize) -> Vec<Column<OutputRow<'a, Self>>> {
        let columns = Self::columns();
        let chosen = Self::TABLE_ORDER.iter().take(count).map(|at| columns[*at]);
        let column = |(key, title, cell)| match key {
            "login" => {
                Column { title, cell: |row: &OutputRow<'_, Self>| display_login(row.user.login(), row.user.id()) }
            }
            _ => Column { title, cell },
        };
        chosen.map(column).collect()
    }
}

pub(crate) fn write_rows<U: OutputUser>(
    out: &mut Output<'_>,
    rows: &[OutputRow<'_, U>],
    args: &UsersArgs,
) -> Result<(), CliError> {
    match args.output {
        UsersOutput::Table => table::write_table(out, &U::table_columns(4), rows),
        UsersOutput::Wide => table::write_table(out, &U::table_columns(usize::MAX), rows),
        UsersOutput::Json => write_json_array(out, rows.iter().map(|row| row.json)),
        UsersOutput::Yaml => out.print_json(&list_to_yaml(rows.iter().map(|row| row.json))?),
        UsersOutput::Jsonl => rows.iter().try_for_each(|row| write_json_line(out, row.json)),
        UsersOutput::Csv => write_csv(out.exact(), rows, args.raw),
        // A user without a login is found by the id, as in `why`.
        UsersOutput::Name => rows.iter().try_for_each(|row| {
            let (login, id) = (row.user.login(), row.user.id());
            write_word(out, if login.trim().is_empty() { id } else { login })
        }),
        UsersOutput::Id => rows.iter().try_for_each(|row| write_word(out, row.user.id())),
    }?;
    Ok(())
}

/// Writes a line for programs: printable, and not wrapped.
fn write_word(out: &mut Output<'_>, word: &str) -> io::Result<()> {
    writeln!(out.exact(), "{}", clean_line(word))
}

/// Writes a line that is JSON already.
pub(crate) fn write_json_line(out: &mut Output<'_>, json: &str) -> io::Result<()> {
    out.print_json(json)?;
    writeln!(out)
}

/// Writes lines that are JSON already as an array.
pub(crate) fn write_json_array<'a>(out: &mut Output<'_>, lines: impl Iterator<Item = &'a str>) -> io::Result<()> {
    out.print_json("[")?;
    for (at, line) in lines.enumerate() {
        out.print_json(if at == 0 { "\n" } else { ",\n" })?;
        out.print_json(line)?;
    }
    out.print_json("\n]\n")
}

fn write_csv<U: OutputUser>(out: &mut dyn Write, rows: &[OutputRow<'_, U>], raw: bool) -> io::Result<()> {
    let columns = U::columns();
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(columns.iter().map(|(key, ..)| key))?;
    for row in rows {
        for (key, _, cell) in &columns {
            let cell = cell(row);
            match raw || *key == NUMBER_COLUMN {
                true => csv.write_field(cell.as_bytes()),
                false => csv.write_field(spreadsheet_cell(&cell).as_bytes()),
            }?;
        }
        csv.write_record(None::<&[u8]>)?;
    }
    csv.flush()
}

/// `cost centre=4711; department=Sales`
pub(crate) fn format_tracking_codes(codes: &CodesByName<'_>) -> String {
    codes.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

/// Written by the operator as a number, which may be negative.
const NUMBER_COLUMN: &str = "spaceAmount";

impl OutputUser for PublishedUser<'_> {
    const TABLE_ORDER: &'static [usize] = &[1, 2, 3, 4, 0, 11, 5, 6, 7, 8, 9, 10, 12];

    fn id(&self) -> &str {
        &self.id
    }

    fn login(&self) -> &str {
        &self.login
    }

    fn status(&self) -> &str {
        &self.status
    }

    fn role(&self) -> Option<&str> {
        Some(&self.role)
    }

    fn tracking_code(&self, name: &str) -> Option<&str> {
        self.tracking_codes.get(name).map(|value| &**value)
    }

    fn tracking_code_names(&self) -> impl Iterator<Item = &str> {
        self.tracking_codes.keys().map(|name| &**name)
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
            ("trackingCodes", "TRACKING-CODES", |row| format_tracking_codes(&row.user.tracking_codes).into()),
        ]
    }
}

impl OutputUser for RemovedUser {
    const TABLE_ORDER: &'static [usize] = &[1, 2, 3, 4, 0];

    fn id(&self) -> &str {
        &self.id
    }

    fn login(&self) -> &str {
        &self.login
    }

    fn status(&self) -> &str {
        &self.last_status
    }

    fn role(&self) -> Option<&str> {
        None
    }

    fn tracking_code(&self, _name: &str) -> Option<&str> {
        None
    }

    fn tracking_code_names(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
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
