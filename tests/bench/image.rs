//! image — size of the binaries in the image, built with the Dockerfile's flags for this machine.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Result, log_progress, table::BenchRow};

const DOCKERFILE: &str = include_str!("../../Dockerfile");
const BINARIES: [&str; 2] = ["boxsync-operator", "kubectl-boxsync"];
const MAX_MB: f64 = 25.0;

/// The environment variables that the image sets for the operator.
pub(crate) fn image_env() -> impl Iterator<Item = (&'static str, &'static str)> {
    DOCKERFILE.split_whitespace().filter(|word| word.starts_with("MALLOC_")).filter_map(|word| word.split_once('='))
}

pub(crate) fn run() -> Result<Vec<BenchRow>> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("image");
    let host = run_command(Command::new("rustc").args(["--print", "host-tuple"]))?;
    log_progress("building the image binaries (takes minutes)");
    let build = ["build", "--locked", "--release", "--package", "boxsync", "--bins", "--target", host.trim()];
    run_command(
        cargo().args(build).arg("--target-dir").arg(&target).env("RUSTFLAGS", "-C target-feature=+crt-static"),
    )?;
    let (mut total_mb, mut gzipped_mb, mut each) = (0.0, 0.0, Vec::new());
    for name in BINARIES {
        let binary = target.join(host.trim()).join("release").join(name);
        // Statically linked: starts without a libc and with an empty environment.
        run_command(Command::new(&binary).arg("--version").env_clear())?;
        let size = fs::metadata(&binary)?.len() as f64 / 1e6;
        total_mb += size;
        gzipped_mb += gzipped_size(&binary)? as f64 / 1e6;
        each.push(format!("{name} {size:.1}"));
    }
    Ok(vec![
        BenchRow::new(
            "image binaries, static, gzip-compressed",
            format!("{gzipped_mb:.1} MB"),
            "≤ 25 MB",
            gzipped_mb <= MAX_MB,
        ),
        BenchRow::new("uncompressed", format!("{total_mb:.1} MB ({})", each.join(", ")), "≤ 25 MB", total_mb <= MAX_MB),
    ])
}

fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").as_deref().unwrap_or(OsStr::new("cargo")));
    cargo.stderr(Stdio::inherit());
    cargo
}

fn run_command(command: &mut Command) -> Result<String> {
    let output = command.stdout(Stdio::piped()).spawn()?.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("{command:?} ended with {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn gzipped_size(file: &Path) -> Result<usize> {
    let output = Command::new("gzip").args(["-9", "--stdout"]).arg(file).output()?;
    if output.status.success() { Ok(output.stdout.len()) } else { Err("gzip failed".into()) }
}
