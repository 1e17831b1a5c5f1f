//! Kubeconfig files: which are read, their content, and how several become one. The rules are those of client-go
//! (`clientcmd`), so that the plugin and kubectl agree.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use secrecy::SecretString;
use serde::Deserialize;

/// Kubeconfigs with many embedded certificates have some 100 KiB.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Looks up an environment variable.
pub(super) type EnvLookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// A file that is not used. The text names it and never quotes its content, which holds secrets.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigFileError {
    #[error("{} cannot be read: {cause}", file.display())]
    Unreadable { file: PathBuf, cause: io::Error },
    #[error("{} is not a kubeconfig{}", file.display(), at_position(*position))]
    Malformed { file: PathBuf, position: Option<(u64, u64)> },
}

fn at_position(position: Option<(u64, u64)>) -> String {
    position.map_or_else(String::new, |(line, column)| {
        format!(": what stands in line {line}, column {column} is not expected there")
    })
}

/// Several files, merged; names are keys.
#[derive(Default)]
pub(super) struct Kubeconfig {
    /// Those that were read.
    files: Vec<PathBuf>,
    missing: Vec<PathBuf>,
    pub(super) current_context: Option<String>,
    pub(super) contexts: BTreeMap<String, KubeconfigContext>,
    pub(super) clusters: BTreeMap<String, KubeconfigCluster>,
    pub(super) users: BTreeMap<String, KubeconfigUser>,
}

#[derive(Clone, Default, Deserialize)]
pub(super) struct KubeconfigContext {
    pub(super) cluster: Option<String>,
    pub(super) user: Option<String>,
    pub(super) namespace: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct KubeconfigCluster {
    pub(super) server: Option<String>,
    pub(super) tls_server_name: Option<String>,
    pub(super) insecure_skip_tls_verify: Option<bool>,
    pub(super) certificate_authority: Option<String>,
    pub(super) certificate_authority_data: Option<String>,
    pub(super) proxy_url: Option<String>,
    pub(super) disable_compression: Option<bool>,
    extensions: Option<Vec<KubeconfigExtension>>,
}

#[derive(Clone, Deserialize)]
struct KubeconfigExtension {
    name: String,
    extension: Option<serde_json::Value>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct KubeconfigUser {
    pub(super) token: Option<SecretString>,
    #[serde(rename = "tokenFile")]
    pub(super) token_file: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Option<SecretString>,
    pub(super) client_certificate: Option<String>,
    pub(super) client_certificate_data: Option<String>,
    pub(super) client_key: Option<String>,
    pub(super) client_key_data: Option<SecretString>,
    #[serde(rename = "as")]
    pub(super) impersonate: Option<String>,
    #[serde(rename = "as-uid")]
    pub(super) impersonate_uid: Option<String>,
    #[serde(rename = "as-groups")]
    pub(super) impersonate_groups: Option<Vec<String>>,
    #[serde(rename = "as-user-extra")]
    pub(super) impersonate_extra: Option<BTreeMap<String, Vec<String>>>,
    pub(super) auth_provider: Option<AuthProvider>,
    pub(super) exec: Option<ExecConfig>,
}

#[derive(Clone, Deserialize)]
pub(super) struct AuthProvider {
    pub(super) name: String,
    pub(super) config: Option<BTreeMap<String, SecretString>>,
}

/// A credential plugin (`client.authentication.k8s.io`).
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExecConfig {
    pub(super) api_version: Option<String>,
    pub(super) command: Option<String>,
    pub(super) args: Option<Vec<String>>,
    pub(super) env: Option<Vec<ExecVariable>>,
    pub(super) install_hint: Option<String>,
    pub(super) interactive_mode: Option<String>,
    pub(super) provide_cluster_info: Option<bool>,
}

#[derive(Clone, Deserialize)]
pub(super) struct ExecVariable {
    pub(super) name: String,
    pub(super) value: Option<SecretString>,
}

impl KubeconfigCluster {
    /// What the cluster tells credential plugins.
    pub(super) fn exec_extension(&self) -> Option<&serde_json::Value> {
        let extensions = self.extensions.iter().flatten();
        extensions.filter(|e| e.name == "client.authentication.k8s.io/exec").find_map(|e| e.extension.as_ref())
    }
}

/// One file, as it is written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct KubeconfigFile {
    current_context: Option<String>,
    contexts: Option<Vec<NamedContext>>,
    clusters: Option<Vec<NamedCluster>>,
    users: Option<Vec<NamedUser>>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Option<KubeconfigContext>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Option<KubeconfigCluster>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    user: Option<KubeconfigUser>,
}

/// The merged files, or `None` if there is no kubeconfig at all: `KUBECONFIG` is unset and the default file does not
/// exist. `explicit` is `--kubeconfig`, which must exist; files of `KUBECONFIG` that do not exist are skipped, and the
/// merged result may be empty.
///
/// # Errors
/// A file cannot be read or parsed.
pub(super) fn read_kubeconfig(
    explicit: Option<&Path>,
    env: EnvLookup<'_>,
) -> Result<Option<Kubeconfig>, KubeconfigFileError> {
    if let Some(file) = explicit {
        let mut merged = Kubeconfig::default();
        merged.add(read_file(file)?, file);
        return Ok(Some(merged));
    }
    let listed = env("KUBECONFIG").filter(|list| !list.is_empty());
    let files: Vec<PathBuf> = match &listed {
        Some(list) => std::env::split_paths(list).filter(|path| !path.as_os_str().is_empty()).collect(),
        None => default_file(env).into_iter().collect(),
    };
    let mut merged = listed.is_some().then(Kubeconfig::default);
    for file in files {
        match read_file(&file) {
            Ok(content) => merged.get_or_insert_default().add(content, &file),
            Err(KubeconfigFileError::Unreadable { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
                if let Some(merged) = &mut merged {
                    merged.missing.push(file);
                }
            }
            Err(other) => return Err(other),
        }
    }
    Ok(merged)
}

/// `~/.kube/config`. The home directory comes from the environment alone: the system's user database would need modules
/// of the host.
fn default_file(env: EnvLookup<'_>) -> Option<PathBuf> {
    let home = ["HOME", "USERPROFILE"].iter().find_map(|name| env(name).filter(|home| !home.is_empty()))?;
    Some(Path::new(&home).join(".kube").join("config"))
}

fn read_file(file: &Path) -> Result<KubeconfigFile, KubeconfigFileError> {
    let unreadable = |cause| KubeconfigFileError::Unreadable { file: file.to_owned(), cause };
    let malformed = |position| KubeconfigFileError::Malformed { file: file.to_owned(), position };
    // A pipe, as of `<(…)`, has no length: it is read anyway.
    if fs::metadata(file).map_err(unreadable)?.len() > MAX_FILE_BYTES {
        return Err(unreadable(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 16 MiB")));
    }
    let text = decode_text(fs::read(file).map_err(unreadable)?).ok_or_else(|| malformed(None))?;
    // As in kubectl, only the first document counts, and an empty file is an empty kubeconfig.
    let documents: Vec<Option<KubeconfigFile>> =
        serde_saphyr::from_multiple(&text).map_err(|e| malformed(e.location().map(|at| (at.line(), at.column()))))?;
    Ok(documents.into_iter().next().flatten().unwrap_or_default())
}

/// UTF-8, or UTF-16 as Windows' shells write it.
fn decode_text(bytes: Vec<u8>) -> Option<String> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16(&units).ok()
    };
    match bytes.as_slice() {
        [0xff, 0xfe, text @ ..] => utf16(text, u16::from_le_bytes),
        [0xfe, 0xff, text @ ..] => utf16(text, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, text @ ..] => String::from_utf8(text.to_vec()).ok(),
        _ => String::from_utf8(bytes).ok(),
    }
}

impl Kubeconfig {
    /// Where it comes from, for errors.
    pub(super) fn origin(&self) -> String {
        let list = |files: &[PathBuf]| files.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", ");
        match (self.files.as_slice(), self.missing.as_slice()) {
            ([], []) => "the kubeconfig".to_owned(),
            ([], missing) => format!("KUBECONFIG (missing: {})", list(missing)),
            (files, []) => list(files),
            (files, missing) => format!("{} (missing: {})", list(files), list(missing)),
        }
    }

    /// Adds what is new in another file. Relative paths are relative to the file.
    fn add(&mut self, content: KubeconfigFile, file: &Path) {
        let KubeconfigFile { current_context, contexts, clusters, users } = content;
        self.files.push(file.to_owned());
        let folder = file.parent().unwrap_or(Path::new(""));
        // An empty name is as good as none.
        self.current_context = self.current_context.take().or(current_context.filter(|name| !name.is_empty()));
        for NamedContext { name, context } in contexts.into_iter().flatten() {
            self.contexts.entry(name).or_insert(context.unwrap_or_default());
        }
        for NamedCluster { name, cluster } in clusters.into_iter().flatten() {
            let mut cluster = cluster.unwrap_or_default();
            resolve_path(&mut cluster.certificate_authority, folder);
            self.clusters.entry(name).or_insert(cluster);
        }
        for NamedUser { name, user } in users.into_iter().flatten() {
            let mut user = user.unwrap_or_default();
            for path in [&mut user.token_file, &mut user.client_certificate, &mut user.client_key] {
                resolve_path(path, folder);
            }
            if let Some(exec) = &mut user.exec
                && exec.command.as_ref().is_some_and(|command| command.contains(std::path::MAIN_SEPARATOR))
            {
                // A command without a separator is searched on the PATH.
                resolve_path(&mut exec.command, folder);
            }
            self.users.entry(name).or_insert(user);
        }
    }
}

fn resolve_path(path: &mut Option<String>, folder: &Path) {
    *path = path.take().filter(|path| !path.is_empty()).map(|path| folder.join(path).to_string_lossy().into_owned());
}
