//! The pinned promtool: checks rules and metrics pages.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{
    error::{Error, Result},
    kubectl,
    tools::{self, Tool},
};

pub struct Promtool(PathBuf);

impl Promtool {
    pub async fn new() -> Result<Self> {
        let found = tools::find_tools(&[Tool::Promtool]).await?;
        found.into_iter().next().map(Self).ok_or_else(|| Error::new("promtool was not found"))
    }

    /// Any command, in this folder and with this input. Only one that has nothing to object succeeds.
    pub async fn run(&self, args: &[&str], folder: &Path, stdin: &str) -> Result<String> {
        let mut command = Command::new(&self.0);
        command.args(args).current_dir(folder);
        kubectl::run_command(command, stdin, format!("promtool {}", args.join(" "))).await?.into_stdout()
    }
}
