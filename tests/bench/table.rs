//! table — the rows, and the machine that they were measured on.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::{fs, thread};

/// One figure.
pub(crate) struct Row {
    work: String,
    measured: String,
    to_reach: String,
    met: Met,
}

enum Met {
    Yes,
    No,
    /// There is nothing to reach.
    Untold,
    /// It could not be measured.
    Lost,
}

impl Row {
    pub(crate) fn new(work: &str, measured: String, to_reach: &str, met: bool) -> Self {
        let met = if met { Met::Yes } else { Met::No };
        Self { work: work.to_owned(), measured, to_reach: to_reach.to_owned(), met }
    }

    /// A figure without a goal.
    pub(crate) fn seen(work: &str, measured: String) -> Self {
        Self { work: work.to_owned(), measured, to_reach: String::new(), met: Met::Untold }
    }

    /// One that explains the one before it.
    pub(crate) fn beside(work: &str, measured: String) -> Self {
        Self { work: format!("  {work}"), measured, to_reach: String::new(), met: Met::Untold }
    }

    fn cells(&self) -> [&str; 4] {
        let Self { work, measured, to_reach, met } = self;
        let met = match met {
            Met::Yes => "yes",
            Met::No => "NO",
            Met::Untold => "",
            Met::Lost => "?",
        };
        [work, measured, to_reach, met]
    }
}

pub(crate) struct Table {
    rows: Vec<Row>,
    head: String,
}

impl Table {
    pub(crate) fn new(operator: &Path) -> Self {
        let cores = thread::available_parallelism().map_or(0, usize::from);
        let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown CPU".to_owned());
        let kib: u64 = field("/proc/meminfo", "MemTotal")
            .and_then(|text| text.split_whitespace().next()?.parse().ok())
            .unwrap_or_default();
        let binary = fs::metadata(operator).map_or(0, |metadata| metadata.len());
        let head = format!(
            "{cores} cores ({cpu}), {} GB, {} {}, {}; operator {:.1} MB\nload average at the start {}",
            kib / 1_000_000,
            std::env::consts::OS,
            line("/proc/sys/kernel/osrelease"),
            rustc(),
            binary as f64 / 1e6,
            load(),
        );
        Self { rows: Vec::new(), head }
    }

    pub(crate) fn add(&mut self, rows: Vec<Row>) {
        self.rows.extend(rows);
    }

    /// The rows of this group could not be measured.
    pub(crate) fn lost(&mut self, group: &str, why: &str) {
        crate::say(&format!("{group} could not be measured: {why}"));
        let measured = "could not be measured, see above".to_owned();
        self.rows.push(Row { work: group.to_owned(), measured, to_reach: String::new(), met: Met::Lost });
    }

    pub(crate) fn is_whole(&self) -> bool {
        !self.rows.iter().any(|row| matches!(row.met, Met::Lost))
    }

    pub(crate) fn finish(&self, took: Duration) -> String {
        let heading = ["work", "measured", "to reach", "met?"];
        let lines = || std::iter::once(heading).chain(self.rows.iter().map(Row::cells));
        let width = |column: usize| lines().map(|cells| cells[column].chars().count()).max().unwrap_or_default();
        let widths = [0, 1, 2, 3].map(width);
        let rule = widths.map(|width| "─".repeat(width)).join("─┼─");
        let mut text = format!("\n{}, at the end {}; took {} s\n\n", self.head, load(), took.as_secs());
        for (number, cells) in lines().enumerate() {
            let mut padded = String::new();
            for (cell, width) in cells.iter().zip(widths) {
                let separator = if padded.is_empty() { "" } else { " │ " };
                let _ = write!(padded, "{separator}{cell:width$}");
            }
            let _ = writeln!(text, "{}", padded.trim_end());
            if number == 0 {
                let _ = writeln!(text, "{rule}");
            }
        }
        text.push_str("\nMedians; in brackets how often it was measured and between what the values lay. 1 MB is 1,000,000 bytes.\n");
        text
    }
}

fn line(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.trim_start_matches([' ', '\t', ':']).trim().to_owned())
}

/// Over one, five and fifteen minutes: who else works on the machine blurs every figure.
fn load() -> String {
    line("/proc/loadavg").split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn rustc() -> String {
    let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let told = Command::new(program).arg("--version").output().ok();
    told.and_then(|output| String::from_utf8(output.stdout).ok())
        .map_or_else(|| "unknown rustc".to_owned(), |text| text.trim().to_owned())
}
