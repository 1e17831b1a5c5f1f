//! A file that is whole or not there: written beside its place, synced, renamed.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::cli::exit_code::CliError;

/// Where a file is to be written.
pub(super) struct OutFile {
    /// As it was given.
    name: String,
    /// What a link leads to.
    path: PathBuf,
}

impl OutFile {
    /// # Errors
    /// There is no such folder, or something else than a file has this name, such as a folder or a device.
    pub(super) fn new(path: &Path) -> Result<Self, CliError> {
        let refuse = |why: &str| {
            CliError::usage(format!(
                "{} cannot be written: {why}. Without --out, the users are printed.",
                path.display()
            ))
        };
        let name = path.display().to_string();
        let path = match fs::canonicalize(path) {
            Ok(target) if target.is_file() => target,
            Ok(_) => return Err(refuse("it is no file")),
            Err(_) => path.to_owned(),
        };
        if path.file_name().is_none() {
            return Err(refuse("it is no file"));
        }
        let file = Self { name, path };
        match fs::metadata(file.folder()) {
            Ok(folder) if folder.is_dir() => Ok(file),
            Ok(_) => Err(refuse(&format!("{} is no folder", file.folder().display()))),
            Err(error) => Err(refuse(&format!("{}: {error}", file.folder().display()))),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn folder(&self) -> &Path {
        self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// Replaces the file by what `write` writes. After an error it is as it was.
    pub(super) fn replace(&self, write: impl FnOnce(&mut dyn Write) -> Result<(), CliError>) -> Result<(), CliError> {
        let explain = |error: io::Error| CliError::error(format!("{} cannot be written: {error}.", self.name));
        let mut file = temporary_file(self.folder()).map_err(explain)?;
        let mut buffer = BufWriter::with_capacity(1 << 16, file.as_file_mut());
        write(&mut buffer)?;
        buffer.into_inner().map_err(|error| explain(error.into_error()))?.sync_all().map_err(explain)?;
        file.persist(&self.path).map_err(|error| explain(error.error))?;
        sync_folder(self.folder()).map_err(explain)
    }
}

/// With the rights that a redirection by a shell would give it: its reader may be another user.
fn temporary_file(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".boxsync-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// A rename is on the disk only when the folder is.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(result: Result<(), CliError>) -> String {
        match result {
            Err(CliError::Message(_, message)) => message,
            other => panic!("{other:?}"),
        }
    }

    fn names_in(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("readable");
        entries.map(|entry| entry.expect("readable").file_name().into_string().expect("text")).collect()
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_or_stays_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("users.txt");
        let write = |text: &'static str| {
            let file = OutFile::new(&path)?;
            file.replace(|out| Ok(out.write_all(text.as_bytes())?))
        };
        write("1\n2\n").expect("written");
        assert_eq!(fs::read_to_string(&path).expect("there"), "1\n2\n");
        let file = OutFile::new(&path).expect("a file");
        let failed = file.replace(|out| {
            out.write_all(b"1\n")?;
            Err(CliError::error("the list ended"))
        });
        assert_eq!(message(failed), "the list ended");
        assert_eq!(fs::read_to_string(&path).expect("there"), "1\n2\n");
        write("3\n").expect("written");
        assert_eq!(
            (fs::read_to_string(&path).expect("there"), names_in(folder.path())),
            ("3\n".into(), vec!["users.txt".into()])
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_leads_to_the_new_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "old").expect("written");
        std::os::unix::fs::symlink(&target, &link).expect("linked");
        let file = OutFile::new(&link).expect("a file");
        file.replace(|out| Ok(out.write_all(b"new")?)).expect("written");
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&target).expect("there"), "new");
    }

    #[test]
    fn what_is_no_file_is_refused_before_anything_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("file"), "").expect("written");
        for (path, why) in [
            (folder.path().to_owned(), "it is no file"),
            (PathBuf::from("/dev/null"), "it is no file"),
            (PathBuf::from("/"), "it is no file"),
            (folder.path().join("missing/users.txt"), "missing: No such file"),
            (folder.path().join("file/users.txt"), "file is no folder"),
        ] {
            let message = message(OutFile::new(&path).map(drop));
            assert!(message.contains(why) && message.contains("Without --out"), "{message}");
        }
        assert!(OutFile::new(Path::new("users.txt")).is_ok());
    }
}
