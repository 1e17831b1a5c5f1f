//! The flags of `coverage`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use super::export::RowCondition;
use crate::cli::{commands::users::args::UserFilterArgs, output::format::parse_duration};

#[derive(Args, Debug)]
pub(crate) struct CoverageArgs {
    /// The connection
    pub(crate) name: String,
    /// What the backup tool says it protects: a file of CSV, JSON lines, or a login or id on each line; or - for standard
    /// input
    #[arg(long, value_name = "FILE")]
    pub(crate) protected: PathBuf,
    /// The column (of JSON lines the key) with the login or id. By default it is found by its name or its content
    #[arg(long, value_name = "COLUMN")]
    pub(crate) column: Option<String>,
    /// Only rows with this value in this column, such as "Backup Status=Protected"; several must all match. Case does not
    /// count
    #[arg(long = "where", value_name = "COLUMN=VALUE")]
    pub(crate) conditions: Vec<RowCondition>,
    /// The column with the time of the last backup
    #[arg(long, value_name = "COLUMN", requires = "max_backup_age")]
    pub(crate) last_backup_column: Option<String>,
    /// An older backup is too old
    #[arg(long, value_name = "TIME", requires = "last_backup_column", value_parser = parse_duration)]
    pub(crate) max_backup_age: Option<Duration>,
    /// Users who were created in Box within this time are not missing yet
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) grace: Option<Duration>,
    /// Compare although the file has less than half of the users
    #[arg(long)]
    pub(crate) partial: bool,
    #[command(flatten)]
    pub(crate) filter: UserFilterArgs,
    /// Fail if the list is older
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) max_age: Option<Duration>,
    /// With -o csv: the texts exactly as they are, as in users
    #[arg(long)]
    pub(crate) raw: bool,
    #[arg(short, long, value_enum, default_value_t = CoverageOutput::Text)]
    pub(crate) output: CoverageOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CoverageOutput {
    Text,
    Json,
    Jsonl,
    Csv,
}
