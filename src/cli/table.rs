//! Tables with aligned columns, as kubectl prints them. Pure.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use unicode_width::UnicodeWidthStr;

/// A column: its title, and what it says of a row.
pub(super) struct Column<T> {
    pub(super) title: &'static str,
    pub(super) of: fn(&T) -> Cow<'_, str>,
}

const GAP: usize = 3;

/// Writes the rows below the titles. They are looked at twice, and no cell is kept.
pub(super) fn write<T>(out: &mut dyn Write, columns: &[Column<T>], rows: &[T]) -> io::Result<()> {
    let mut widths: Vec<usize> = columns.iter().map(|column| column.title.len()).collect();
    for row in rows {
        for (column, widest) in columns.iter().zip(&mut widths) {
            *widest = (*widest).max(width(&shown((column.of)(row))));
        }
    }
    write_line(out, &widths, columns.iter().map(|column| column.title.into()))?;
    for row in rows {
        write_line(out, &widths, columns.iter().map(|column| shown((column.of)(row))))?;
    }
    Ok(())
}

fn write_line<'a>(
    out: &mut dyn Write,
    widths: &[usize],
    cells: impl ExactSizeIterator<Item = Cow<'a, str>>,
) -> io::Result<()> {
    let last = cells.len().saturating_sub(1);
    for (at, (cell, widest)) in cells.zip(widths).enumerate() {
        out.write_all(cell.as_bytes())?;
        if at < last {
            let blanks = widest - width(&cell) + GAP;
            write!(out, "{:blanks$}", "")?;
        }
    }
    out.write_all(b"\n")
}

fn width(cell: &str) -> usize {
    if cell.is_ascii() { cell.len() } else { cell.width() }
}

/// The text without what would steer a terminal: names come from Box, where anybody may choose theirs.
pub(super) fn shown(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains(char::is_control) { text.replace(char::is_control, "\u{fffd}").into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[(&'static str, &'static str)]) -> String {
        let columns = [
            Column::<(&str, &str)> { title: "LOGIN", of: |row| row.0.into() },
            Column::<(&str, &str)> { title: "NAME", of: |row| row.1.into() },
        ];
        let mut out = Vec::new();
        write(&mut out, &columns, rows).expect("memory");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_on_a_screen() {
        let told = table(&[("a@b", "x"), ("日本@acme", "y")]);
        assert_eq!(told, "LOGIN       NAME\na@b         x\n日本@acme   y\n");
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(table(&[("a", "\x1b[2J\nx")]), "LOGIN   NAME\na       \u{fffd}[2J\u{fffd}x\n");
    }
}
