//! Tables with aligned columns, as kubectl prints them. Pure.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use unicode_width::UnicodeWidthStr;

use super::styled::{StyledText, TextStyle};
use crate::text::clean_line;

/// A column: its title, and the cell of a row.
pub(crate) struct Column<T> {
    pub(crate) title: &'static str,
    pub(crate) cell: fn(&T) -> Cow<'_, str>,
}

const GAP: usize = 3;

/// Adds the titles and the rows to a text.
pub(crate) fn push_table<T>(text: &mut StyledText, columns: &[Column<T>], rows: &[T]) {
    let mut table = Vec::new();
    // Writing to memory does not fail.
    write_table(&mut table, columns, rows).ok();
    for line in String::from_utf8_lossy(&table).lines() {
        text.push(TextStyle::Row, line.trim_end()).newline();
    }
}

/// Writes the titles and the rows. Cells are computed twice instead of stored.
pub(crate) fn write_table<T>(out: &mut dyn Write, columns: &[Column<T>], rows: &[T]) -> io::Result<()> {
    let mut widths: Vec<usize> = columns.iter().map(|column| column.title.len()).collect();
    for row in rows {
        for (column, widest) in columns.iter().zip(&mut widths) {
            *widest = (*widest).max(display_width(&clean_line(&(column.cell)(row))));
        }
    }
    write_row(out, &widths, columns.iter().map(|column| column.title.into()))?;
    for row in rows {
        write_row(out, &widths, columns.iter().map(|column| clean_line(&(column.cell)(row)).into_owned().into()))?;
    }
    Ok(())
}

fn write_row<'a>(
    out: &mut dyn Write,
    widths: &[usize],
    cells: impl ExactSizeIterator<Item = Cow<'a, str>>,
) -> io::Result<()> {
    let last = cells.len().saturating_sub(1);
    for (at, (cell, widest)) in cells.zip(widths).enumerate() {
        out.write_all(cell.as_bytes())?;
        if at < last {
            let blanks = widest - display_width(&cell) + GAP;
            write!(out, "{:blanks$}", "")?;
        }
    }
    out.write_all(b"\n")
}

fn display_width(cell: &str) -> usize {
    if cell.is_ascii() { cell.len() } else { cell.width() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render_rows(rows: &[(&'static str, &'static str)]) -> String {
        let columns = [
            Column::<(&str, &str)> { title: "LOGIN", cell: |row| row.0.into() },
            Column::<(&str, &str)> { title: "NAME", cell: |row| row.1.into() },
        ];
        let mut out = Vec::new();
        write_table(&mut out, &columns, rows).expect("memory");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_on_a_screen() {
        let rendered = render_rows(&[("a@b", "x"), ("日本@acme", "y")]);
        assert_eq!(rendered, "LOGIN       NAME\na@b         x\n日本@acme   y\n");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(render_rows(&[("a", "\x1b[2J\nx")]), "LOGIN   NAME\na       \u{fffd}[2J\u{fffd}x\n");
    }
}
