//! A round of checks: each finding is printed as soon as it is there, and at the end stands what has to be done.

use serde::Serialize;

use super::{
    last_status::LastStatus,
    result::{CheckKind, CheckResult},
};
use crate::cli::{
    args::CheckOutput,
    commands::status::summary::WIDTH,
    exit_code::{CliError, ExitStatus},
    io::Io,
    output::format::wrap_text,
};

pub(crate) struct CheckRun<'a, 'd> {
    pub(crate) io: &'a mut Io<'d>,
    output: CheckOutput,
    results: Vec<CheckResult>,
}

/// As a program reads it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckReport<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    last_status: Option<&'a LastStatus>,
    checks: &'a [CheckResult],
    actions: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_check: Option<String>,
}

impl<'a, 'd> CheckRun<'a, 'd> {
    pub(crate) fn new(output: CheckOutput, io: &'a mut Io<'d>) -> Self {
        Self { io, output, results: Vec::new() }
    }

    /// Text between the findings: for people only.
    pub(crate) fn print_text(&mut self, text: &str) -> Result<(), CliError> {
        match self.output {
            CheckOutput::Text => {
                self.io.out.write_all(text.as_bytes())?;
                // Box may take its time.
                self.io.out.flush()?;
            }
            CheckOutput::Json => {}
        }
        Ok(())
    }

    pub(crate) fn add_result(&mut self, result: CheckResult) -> Result<(), CliError> {
        let text = result.render_result(self.io.color);
        self.results.push(result);
        self.print_text(&text)
    }

    /// Notes that these were not checked, all for the same reason.
    pub(crate) fn skip_checks(&mut self, checks: &[CheckKind], why: &str) -> Result<(), CliError> {
        checks.iter().try_for_each(|check| self.add_result(CheckResult::skip(*check, why)))
    }

    /// What has to be done, and when the operator looks again.
    pub(crate) fn print_summary(mut self, last_status: Option<&LastStatus>) -> Result<ExitStatus, CliError> {
        let results = std::mem::take(&mut self.results);
        let actions: Vec<&str> = results.iter().filter_map(CheckResult::required_action).collect();
        let next_check = last_status.map(LastStatus::next_check_message);
        let exit = if actions.is_empty() { ExitStatus::Success } else { ExitStatus::Failure };
        let first = match (actions.as_slice(), last_status) {
            ([only], _) => format!("What to do: {only}"),
            ([first, ..], _) => format!("What to do first: {first}"),
            ([], Some(last_status)) => last_status.no_action_message(),
            ([], None) => "Nothing to do.".to_owned(),
        };
        let closing: Vec<String> =
            [Some(first), next_check.clone()].into_iter().flatten().flat_map(|text| wrap_text(&text, WIDTH)).collect();
        self.print_text(&format!("\n{}\n", closing.join("\n")))?;
        match self.output {
            CheckOutput::Text => {}
            CheckOutput::Json => {
                let report = CheckReport { last_status, checks: &results, actions, next_check };
                let json = serde_json::to_string_pretty(&report).map_err(|e| CliError::error(e.to_string()))?;
                writeln!(self.io.out, "{json}")?;
            }
        }
        self.io.out.flush()?;
        Ok(exit)
    }
}
