//! A run of checks, and its text: what to do first, then what failed, and what passed in one line.

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    last_status::LastStatus,
    result::{CheckKind, CheckResult, render_results},
};
use crate::auth::Failure;
use crate::cli::{
    exit_code::{CliError, ExitStatus},
    io::Io,
    output::{
        styled::{StyledText, TextStyle},
        yaml::to_yaml,
    },
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckOutput {
    Text,
    Json,
    Yaml,
}

pub(crate) struct CheckRun<'a, 'd> {
    pub(crate) io: &'a mut Io<'d>,
    output: CheckOutput,
    results: Vec<CheckResult>,
}

/// The output of `kubectl boxsync check -o json`.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CheckReport<'a> {
    /// Absent with --file, and if the CRDs are not installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_status: Option<&'a LastStatus>,
    checks: &'a [CheckResult],
    /// What must be done about the failed checks, in the order of the checks.
    actions: Vec<&'a str>,
    /// When the operator checks the connection again; absent with `lastStatus`.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_check: Option<String>,
}

impl<'a, 'd> CheckRun<'a, 'd> {
    pub(crate) fn new(output: CheckOutput, io: &'a mut Io<'d>) -> Self {
        Self { io, output, results: Vec::new() }
    }

    /// Prints text around the results; not with -o json.
    pub(crate) fn print_text(&mut self, text: &StyledText) -> Result<(), CliError> {
        match self.output {
            CheckOutput::Text => {
                self.io.out.print(text)?;
                // Flushed, because the next check may take long.
                self.io.out.flush()?;
            }
            CheckOutput::Json | CheckOutput::Yaml => {}
        }
        Ok(())
    }

    pub(crate) fn add_result(&mut self, result: CheckResult) -> Result<(), CliError> {
        self.results.push(result);
        Ok(())
    }

    pub(crate) fn pass(&mut self, check: CheckKind, message: impl Into<String>) -> Result<(), CliError> {
        self.add_result(CheckResult::pass(check, message))
    }

    pub(crate) fn fail(&mut self, check: CheckKind, failure: &Failure) -> Result<(), CliError> {
        self.add_result(CheckResult::from_failure(check, failure))
    }

    /// Records checks as skipped, all for the same reason.
    pub(crate) fn skip_checks(&mut self, checks: &[CheckKind], why: &str) -> Result<(), CliError> {
        checks.iter().try_for_each(|check| self.add_result(CheckResult::skip(*check, why)))
    }

    /// Prints the required action, and when the operator checks again.
    pub(crate) fn print_summary(mut self, last_status: Option<&LastStatus>) -> Result<ExitStatus, CliError> {
        let results = std::mem::take(&mut self.results);
        let actions: Vec<&str> = results.iter().filter_map(CheckResult::required_action).collect();
        let next_check = last_status.map(LastStatus::next_check_message);
        let exit = if actions.is_empty() { ExitStatus::Success } else { ExitStatus::Failure };
        let verdict = last_status.and_then(LastStatus::verdict);
        let first = match (&verdict, actions.as_slice()) {
            (Some(verdict), _) => format!("Action: {verdict}"),
            (None, [only]) => format!("Action: {only}"),
            (None, [first, ..]) => format!("First action: {first}"),
            (None, []) => "No action needed.".to_owned(),
        };
        let mut text = StyledText::new();
        if last_status.is_some() {
            text.newline();
        }
        text.line(&first);
        if let Some(next_check) = &next_check {
            text.line(next_check);
        }
        text.newline().push(TextStyle::Bold, "From this terminal").newline();
        text.append(render_results(&results));
        self.print_text(&text)?;
        let report = CheckReport { last_status, checks: &results, actions, next_check };
        match self.output {
            CheckOutput::Text => {}
            CheckOutput::Json => {
                let json = serde_json::to_string_pretty(&report)?;
                self.io.out.print_json(&format!("{json}\n"))?;
            }
            CheckOutput::Yaml => self.io.out.print_json(&to_yaml(&report)?)?,
        }
        self.io.out.flush()?;
        Ok(exit)
    }
}
