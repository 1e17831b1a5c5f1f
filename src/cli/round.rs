//! A round of checks: each finding is printed as soon as it is there, and at the end stands what has to be done.

use serde::Serialize;

use super::{
    desk::Desk,
    exit::{Exit, Stop},
    finding::{Check, Finding},
    flags::CheckOutput,
    overview::WIDTH,
    seen::Seen,
    words::wrapped,
};

pub(super) struct Round<'a, 'd> {
    pub(super) desk: &'a mut Desk<'d>,
    output: CheckOutput,
    findings: Vec<Finding>,
}

/// As a program reads it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<&'a Seen>,
    checks: &'a [Finding],
    to_do: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    again: Option<String>,
}

impl<'a, 'd> Round<'a, 'd> {
    pub(super) fn new(output: CheckOutput, desk: &'a mut Desk<'d>) -> Self {
        Self { desk, output, findings: Vec::new() }
    }

    /// Text between the findings: for people only.
    pub(super) fn say(&mut self, text: &str) -> Result<(), Stop> {
        match self.output {
            CheckOutput::Text => {
                self.desk.out.write_all(text.as_bytes())?;
                // Box may take its time.
                self.desk.out.flush()?;
            }
            CheckOutput::Json => {}
        }
        Ok(())
    }

    pub(super) fn note(&mut self, finding: Finding) -> Result<(), Stop> {
        let text = finding.text(self.desk.ink);
        self.findings.push(finding);
        self.say(&text)
    }

    /// Notes that these were not checked, all for the same reason.
    pub(super) fn skip(&mut self, checks: &[Check], why: &str) -> Result<(), Stop> {
        checks.iter().try_for_each(|check| self.note(Finding::unchecked(*check, why)))
    }

    /// What has to be done, and when the operator looks again.
    pub(super) fn end(mut self, seen: Option<&Seen>) -> Result<Exit, Stop> {
        let findings = std::mem::take(&mut self.findings);
        let to_do: Vec<&str> = findings.iter().filter_map(Finding::to_do).collect();
        let again = seen.map(Seen::again);
        let exit = if to_do.is_empty() { Exit::Fine } else { Exit::NotSo };
        let first = match (to_do.as_slice(), seen) {
            ([only], _) => format!("What to do: {only}"),
            ([first, ..], _) => format!("What to do first: {first}"),
            ([], Some(seen)) => seen.nothing_to_do(),
            ([], None) => "Nothing to do.".to_owned(),
        };
        let closing: Vec<String> =
            [Some(first), again.clone()].into_iter().flatten().flat_map(|text| wrapped(&text, WIDTH)).collect();
        self.say(&format!("\n{}\n", closing.join("\n")))?;
        match self.output {
            CheckOutput::Text => {}
            CheckOutput::Json => {
                let whole = Whole { seen, checks: &findings, to_do, again };
                let json = serde_json::to_string_pretty(&whole).map_err(|e| Stop::trouble(e.to_string()))?;
                writeln!(self.desk.out, "{json}")?;
            }
        }
        self.desk.out.flush()?;
        Ok(exit)
    }
}
