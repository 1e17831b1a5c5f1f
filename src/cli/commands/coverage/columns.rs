//! The columns of an export: their names, and which of them holds the users. Pure.

use std::ops::ControlFlow;

use super::rows::{Cells, Layout, RowFormat};
use crate::text::{clamp_text, is_unprintable};

/// Names by which tools call the column with the login or the id, without case, blanks and punctuation; the best first. A
/// tool's own user id is as likely as Box's, so ids come last.
const USER_COLUMNS: [&str; 21] = [
    "boxuserid",
    "boxid",
    "boxlogin",
    "login",
    "userlogin",
    "email",
    "emailaddress",
    "useremail",
    "mail",
    "primaryemail",
    "userprincipalname",
    "upn",
    "username",
    "user",
    "account",
    "accountemail",
    "accountname",
    "owner",
    "owneremail",
    "userid",
    "id",
];

/// Rows that are looked at to find the columns.
const SAMPLE_ROWS: usize = 1_000;
/// Keys of JSON lines that are looked at.
const MAX_KEYS: usize = 1_000;
/// A header is among the first rows: reports have a title above it.
const MAX_HEADER_ROW: usize = 20;
/// What an error names of the columns.
const MAX_NAMES: usize = 30;
const MAX_NAME_CHARS: usize = 60;

/// The columns of an export.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Columns {
    /// Their names; without a header their numbers, from 1.
    pub(super) names: Vec<String>,
    /// Rows up to the header.
    pub(super) rows_before: usize,
    /// Rows of the sample, below the header.
    sample: Vec<Vec<String>>,
}

/// The login or id in a cell: `mailto:ann@acme.com`, `Ann <ann@acme.com>`, and what makes an id text in a spreadsheet,
/// `="2001"` and `'2001`.
pub(super) fn clean_user(cell: &str) -> &str {
    let trim = |text| str::trim_matches(text, |c: char| c.is_whitespace() || is_unprintable(c));
    let text = trim(cell);
    let text = text.strip_prefix("=\"").and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let text = text.strip_prefix('\'').unwrap_or(text);
    let text = text.strip_suffix('>').and_then(|text| text.rsplit_once('<')).map_or(text, |(_, address)| address);
    let text = text
        .split_at_checked(7)
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("mailto:"))
        .map_or(text, |(_, rest)| rest);
    trim(text)
}

/// Whether a text can be an id of Box.
pub(super) fn is_user_id(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text can be a login: an email address.
pub(super) fn is_login(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
        && !text.contains(char::is_whitespace)
}

impl Columns {
    /// `wanted`: the columns that the command names, one of which a header has.
    pub(super) fn detect(layout: &Layout<'_>, wanted: &[&str]) -> Self {
        let (mut names, mut rows) = (Vec::new(), Vec::new());
        layout.for_each_row(|_, cells| {
            match cells {
                Cells::Record(record) => rows.push(record.iter().map(str::to_owned).collect()),
                Cells::Value(value) => rows.push(vec![(*value).to_owned()]),
                Cells::Object(object) => {
                    let known = names.len();
                    let new = object.keys().filter(|key| !names.contains(*key)).take(MAX_KEYS.saturating_sub(known));
                    let new: Vec<String> = new.cloned().collect();
                    names.extend(new);
                    rows.push(
                        names.iter().enumerate().map(|(at, name)| cells.read_cell(at, name).into_owned()).collect(),
                    );
                }
                Cells::Broken(_) => {}
            }
            if rows.len() < SAMPLE_ROWS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        if layout.format == RowFormat::JsonLines {
            return Self { names, rows_before: 0, sample: rows };
        }
        let header = find_header(&rows, wanted);
        let sample = rows.split_off(header.map_or(0, |at| at + 1));
        let widest = rows.last().into_iter().chain(&sample).map(Vec::len).max().unwrap_or_default();
        let header = rows.pop().unwrap_or_default();
        let rows_before = rows.len() + usize::from(!header.is_empty());
        let name = |at: usize| header.get(at).filter(|name| !name.is_empty()).cloned();
        let names = (0..widest).map(|at| name(at).unwrap_or_else(|| (at + 1).to_string())).collect();
        Self { names, rows_before, sample }
    }

    /// # Errors
    /// There is no such column. The sentence continues the name of the file.
    pub(super) fn find(&self, name: &str) -> Result<usize, String> {
        let found = self.names.iter().position(|other| same_name(other, name));
        found.ok_or_else(|| format!("has no column {:?}. {}", clamp_text(name, MAX_NAME_CHARS), self.list()))
    }

    /// The column with the logins or ids: that of a name that tools use, if its content does not contradict it; otherwise
    /// the first that holds logins.
    ///
    /// # Errors
    /// There is none. The sentence continues the name of the file.
    pub(super) fn find_users(&self) -> Result<usize, String> {
        if self.names.len() <= 1 || self.sample.is_empty() {
            return Ok(0);
        }
        let by_name =
            USER_COLUMNS.iter().filter_map(|known| self.names.iter().position(|name| letters(name) == *known));
        let mut named = by_name.filter(|at| self.holds(*at, |cell| is_login(cell) || is_user_id(cell)));
        let by_content = || (0..self.names.len()).find(|at| self.holds(*at, is_login));
        named.next().or_else(by_content).ok_or_else(|| {
            format!("has no column that looks like logins or ids of Box. Name it with --column. {}", self.list())
        })
    }

    /// Whether at least half of the cells that are not empty are of this kind.
    fn holds(&self, at: usize, kind: impl Fn(&str) -> bool) -> bool {
        let cells = self.sample.iter().filter_map(|row| row.get(at)).map(|cell| clean_user(cell));
        let kinds: Vec<bool> = cells.filter(|cell| !cell.is_empty()).map(kind).collect();
        !kinds.is_empty() && kinds.iter().filter(|is| **is).count() * 2 >= kinds.len()
    }

    fn list(&self) -> String {
        let shown = self.names.iter().take(MAX_NAMES).map(|name| clamp_text(name, MAX_NAME_CHARS));
        let shown = shown.collect::<Vec<_>>().join(", ");
        let more = self.names.len().saturating_sub(MAX_NAMES);
        match (shown.is_empty(), more) {
            (true, _) => "It has no columns.".to_owned(),
            (false, 0) => format!("Its columns: {shown}."),
            (false, more) => format!("Its columns: {shown} and {more} more."),
        }
    }
}

/// The position of the header among the first rows; `None` if the first row holds a user.
fn find_header(rows: &[Vec<String>], wanted: &[&str]) -> Option<usize> {
    let top = &rows[..rows.len().min(MAX_HEADER_ROW)];
    let is_wanted = |cell: &String| wanted.iter().any(|name| same_name(cell, name));
    let is_known = |cell: &String| USER_COLUMNS.contains(&letters(cell).as_str());
    let is_user = |cell: &String| is_login(clean_user(cell)) || is_user_id(clean_user(cell));
    let has_user = |row: &Vec<String>| row.iter().any(is_user);
    let named = || top.iter().position(|row| row.iter().any(is_known) && !row.iter().any(|cell| is_login(cell)));
    let first = || top.first().is_some_and(|row| !has_user(row)).then_some(0);
    top.iter().position(|row| row.iter().any(is_wanted)).or_else(named).or_else(first)
}

fn same_name(name: &str, other: &str) -> bool {
    name.trim().to_lowercase() == other.trim().to_lowercase()
}

/// The letters and digits of a name, in lower case.
fn letters(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(text: &str, wanted: &[&str]) -> Columns {
        Columns::detect(&Layout::detect(text).expect("rows"), wanted)
    }

    fn user_column(text: &str) -> Result<String, String> {
        let columns = columns(text, &[]);
        columns.find_users().map(|at| columns.names[at].clone())
    }

    #[test]
    fn the_column_of_the_users_is_found_by_its_name_or_its_content() {
        for (text, column) in [
            ("Name,User Email,Size\nAnn,a@x,1\n", "User Email"),
            ("User ID;E-Mail\n17;a@x\n", "E-Mail"),
            ("User;Mail\nAnn Archer;a@x\n", "Mail"),
            ("Username;Who\nAnn Archer;a@x\n", "Who"),
            ("Box User ID,Email\n2001,a@x\n", "Box User ID"),
            ("Who,Where\na@x,Rome\n", "Who"),
            ("id,size\n2001,7\n", "id"),
            ("Ann,a@x\nBob,b@x\n", "2"),
            ("Report\n\nof today,,\nName,Login\nAnn,a@x\n", "Login"),
            ("a@x\nb@x\n", "1"),
            ("Protected people\na@x\n", "Protected people"),
            ("{\"a\":1,\"mail\":\"a@x\"}\n{\"user\":\"b\"}\n", "mail"),
            ("Login,Size\n", "Login"),
        ] {
            assert_eq!(user_column(text).as_deref(), Ok(column), "{text:?}");
        }
        let none = user_column("Name,Size\nAnn,1\n").expect_err("no users");
        assert!(none.ends_with("Name it with --column. Its columns: Name, Size."), "{none}");
    }

    #[test]
    fn a_header_is_a_row_with_a_wanted_name_and_no_header_is_needed() {
        let titled = columns("Title;\nPerson;State\nann;ok\n", &["state"]);
        assert_eq!((titled.rows_before, titled.find("STATE ")), (2, Ok(1)));
        assert_eq!(columns("a@x;ok\n", &[]).rows_before, 0);
        assert_eq!(columns("2001\n2002\n", &[]).rows_before, 0);
        assert_eq!(columns("Login\na@x\n", &[]).rows_before, 1);
        assert_eq!(columns("a@x;ok\n", &["2"]).find("2"), Ok(1));
        let missing = titled.find("Status").expect_err("no such column");
        assert_eq!(missing, "has no column \"Status\". Its columns: Person, State.");
    }

    #[test]
    fn columns_are_listed_up_to_a_bound() {
        let header: Vec<String> = (0..500).map(|n| format!("{}{n}", "x".repeat(200))).collect();
        let error = columns(&format!("{}\n", header.join(",")), &[]).find("y").expect_err("no such column");
        assert!(error.ends_with("and 470 more.") && error.len() < 3_000, "{error}");
    }

    #[test]
    fn a_user_is_read_in_all_its_disguises() {
        for (cell, user) in [
            (" a@x ", "a@x"),
            ("mailto:a@x", "a@x"),
            ("Ann <a@x>", "a@x"),
            ("=\"2001\"", "2001"),
            ("'2001", "2001"),
            ("\u{feff}a@x\u{a0}", "a@x"),
            ("Ann Archer", "Ann Archer"),
            ("", ""),
            ("Zoë ëë", "Zoë ëë"),
        ] {
            assert_eq!(clean_user(cell), user, "{cell:?}");
        }
    }
}
