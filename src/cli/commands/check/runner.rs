//! A run of checks: prints each result at once, then a summary with the required action.

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    last_status::LastStatus,
    result::{CheckKind, CheckResult},
};
use crate::auth::Failure;
use crate::cli::{
    commands::status::summary::WIDTH,
    exit_code::{CliError, ExitStatus},
    io::Io,
    output::{format::wrap_text, styled::StyledText, yaml::to_yaml},
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
        let text = result.render_result();
        self.results.push(result);
        self.print_text(&text)
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
        let first = match (actions.as_slice(), last_status) {
            ([only], _) => format!("Action: {only}"),
            ([first, ..], _) => format!("First action: {first}"),
            ([], Some(last_status)) => last_status.no_action_message(),
            ([], None) => "No action needed.".to_owned(),
        };
        let mut closing = StyledText::new();
        closing.newline();
        for text in [Some(first), next_check.clone()].into_iter().flatten() {
            for line in wrap_text(&text, WIDTH) {
                closing.line(&line);
            }
        }
        self.print_text(&closing)?;
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
