//! `check`: the last status from the operator, then checks of everything a connection needs, made from this terminal.

pub(crate) mod box_checks;
pub(crate) mod last_status;
pub(crate) mod result;
pub(crate) mod runner;

use std::path::{Path, PathBuf};

use clap::Args;
use k8s_openapi::{NamespaceResourceScope, api::core::v1::Secret};
use kube::Resource;
use serde::de::DeserializeOwned;

use super::status::leader::{self, LeaderStatus};
use crate::{
    api::{AuthType, BoxConnection, ListEvidence, OperatorEvidence, Reason, UserRoster, UserSlice, UserSyncRequest},
    auth::{self, Failure, FailureContext, KeyDecryption},
    box_client::Credentials,
    cli::{
        box_api::BoxApiArgs,
        errors::{self, Permission},
        exit_code::{CliError, ExitStatus},
        io::Io,
        kube_context::KubeContext,
        list_evidence::read_list_evidence,
        output::format::{parse_enterprise_id, parse_user_id},
    },
    kube_client::KubeError,
};
use box_checks::BoxAuth;
use last_status::LastStatus;
use result::{CheckKind, CheckResult};
use runner::{CheckOutput, CheckRun};

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// The connection
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub(crate) name: Option<String>,
    /// Check the configuration file of an app (JWT) instead of a connection, - for standard input; no cluster is used
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The enterprise of the file; default: the one that the file contains
    #[arg(long, value_name = "ID", conflicts_with = "name", value_parser = parse_enterprise_id)]
    pub(crate) enterprise_id: Option<String>,
    /// The user that the app of the file acts as; default: its service account
    #[arg(long, value_name = "ID", conflicts_with = "name", value_parser = parse_user_id)]
    pub(crate) user_id: Option<String>,
    #[command(flatten)]
    pub(crate) box_api: BoxApiArgs,
    #[arg(short, long, value_enum, default_value_t = CheckOutput::Text)]
    pub(crate) output: CheckOutput,
    /// The namespace of the operator; default: that of the Lease that the connection names
    #[arg(long, value_name = "NAME", env = "BOXSYNC_OPERATOR_NAMESPACE")]
    pub(crate) operator_namespace: Option<String>,
}

/// The checks that call Box.
const BOX_CHECKS: &[CheckKind] =
    &[CheckKind::BoxApi, CheckKind::Clock, CheckKind::Token, CheckKind::Enterprise, CheckKind::UserList];

/// `kube` is not needed to check a file.
pub(crate) async fn run(args: &CheckArgs, kube: Option<&KubeContext>, io: &mut Io<'_>) -> Result<ExitStatus, CliError> {
    match (&args.file, &args.name, kube) {
        (Some(file), _, _) => check_file(file, args, io).await,
        (None, Some(name), Some(kube)) => check_connection(name, args, kube, io).await,
        (None, _, _) => Err(CliError::usage("name a connection, or a file with --file.")),
    }
}

async fn check_connection(
    name: &str,
    args: &CheckArgs,
    kube: &KubeContext,
    io: &mut Io<'_>,
) -> Result<ExitStatus, CliError> {
    let now = io.clock.now();
    let operator_namespace = args.operator_namespace.as_deref();
    let missing_kinds = Box::pin(find_missing_kinds(kube, name)).await;
    if missing_kinds.contains(&"BoxConnections") {
        let leader = leader::read_leader_status(kube, operator_namespace, &[], now).await?;
        let mut check_run = CheckRun::new(args.output, io);
        check_run.add_result(operator_result(&leader))?;
        check_run.add_result(crds_result(&missing_kinds))?;
        check_run
            .skip_checks(&[CheckKind::Secret, CheckKind::Credentials], "Not checked: the CRDs are not installed.")?;
        check_run.skip_checks(BOX_CHECKS, "Not checked: the CRDs are not installed.")?;
        return check_run.print_summary(None);
    }
    let connection = kube.get_connection(name).await?;
    let leader = leader::read_leader_status(kube, operator_namespace, std::slice::from_ref(&connection), now).await?;
    let lists = read_list_evidence(kube, std::slice::from_ref(&connection)).await;
    let list = lists.first().copied().unwrap_or(ListEvidence::NotRead);
    let last_status = LastStatus::new(leader.clone(), &connection, list, now);
    let mut check_run = CheckRun::new(args.output, io);
    check_run.print_text(&last_status.render_last_status())?;
    check_run.add_result(match last_status.unwatched() {
        Some((problem, action)) if leader.evidence() != OperatorEvidence::Absent => {
            CheckResult::fail(CheckKind::Operator, problem, action)
        }
        _ => operator_result(&leader),
    })?;
    check_run.add_result(crds_result(&missing_kinds))?;
    let context = FailureContext::for_connection(&connection);
    let auth = read_box_auth(&mut check_run, kube, &connection, &context).await?;
    Box::pin(box_checks::run_box_checks(&mut check_run, &args.box_api, &context, auth)).await?;
    check_run.print_summary(Some(&last_status))
}

fn operator_result(leader: &LeaderStatus) -> CheckResult {
    match leader {
        LeaderStatus::Active { holder_identity, lease, .. } => {
            CheckResult::pass(CheckKind::Operator, format!("{holder_identity} is the leader and renews Lease {lease}."))
        }
        LeaderStatus::Expired { lease, .. } => CheckResult::fail(
            CheckKind::Operator,
            format!("No leader: Lease {lease} is not renewed."),
            START_THE_OPERATOR,
        ),
        LeaderStatus::NoLease { scope } => CheckResult::fail(
            CheckKind::Operator,
            format!("No leader: no operator Lease in {}.", scope),
            START_THE_OPERATOR,
        ),
        LeaderStatus::Unconfirmed { .. } => {
            let why = leader.unconfirmed_reason().unwrap_or_default();
            CheckResult::skip(CheckKind::Operator, format!("Not checked: {why}."))
        }
        LeaderStatus::Unknown { message } => CheckResult::skip(CheckKind::Operator, format!("Not checked: {message}.")),
    }
}

const START_THE_OPERATOR: &str = "A cluster admin must check why it does not run (kubectl get pods -A -l app.kubernetes.io/name=boxsync-operator), or install the chart boxsync-operator.";

/// The boxsync kinds that the API server does not serve.
async fn find_missing_kinds(kube: &KubeContext, name: &str) -> Vec<&'static str> {
    let (connections, requests, rosters, slices) = tokio::join!(
        is_kind_unserved::<BoxConnection>(kube, name),
        is_kind_unserved::<UserSyncRequest>(kube, name),
        is_kind_unserved::<UserRoster>(kube, name),
        is_kind_unserved::<UserSlice>(kube, name),
    );
    let kinds = [
        (connections, "BoxConnections"),
        (requests, "UserSyncRequests"),
        (rosters, "UserRosters"),
        (slices, "UserSlices"),
    ];
    kinds.into_iter().filter(|(unserved, _)| *unserved).map(|(_, kind)| kind).collect()
}

/// Whether the API server does not serve the kind. Without the permission to read it, it counts as served.
async fn is_kind_unserved<K>(kube: &KubeContext, name: &str) -> bool
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
{
    matches!(kube.client.call(kube.client.api::<K>(&kube.namespace).get(name)).await, Err(KubeError::UnknownKind))
}

fn crds_result(missing: &[&str]) -> CheckResult {
    match missing {
        [] => CheckResult::pass(CheckKind::Crds, "The API server serves the boxsync CRDs."),
        missing => CheckResult::fail(
            CheckKind::Crds,
            format!("The API server does not serve {}.", missing.join(", ")),
            "A cluster admin must install the CRDs: kubectl apply --server-side -f crds/.",
        ),
    }
}

/// The credentials for the checks of Box. The Secret is read with the permissions of the caller.
async fn read_box_auth(
    check_run: &mut CheckRun<'_, '_>,
    kube: &KubeContext,
    connection: &BoxConnection,
    context: &FailureContext,
) -> Result<BoxAuth, CliError> {
    let Some((method, name)) = connection.spec.auth.selected_method() else {
        check_run.fail(CheckKind::Secret, &Failure::invalid_auth_method(context))?;
        return skip_credentials(check_run, "Not checked: no sign-in method is set.");
    };
    let secret = match kube.get_secret(name).await {
        Ok(secret) => secret,
        Err(KubeError::NotFound) => {
            check_run.fail(CheckKind::Secret, &Failure::missing_secret(context))?;
            return skip_credentials(check_run, "Not checked: there is no Secret.");
        }
        Err(error) => {
            let why = errors::kube_error_message(&error, &Permission::in_namespace("get", "secrets", &kube.namespace));
            check_run.add_result(CheckResult::skip(CheckKind::Secret, format!("Not checked: {why}")))?;
            return skip_credentials(check_run, "Not checked: you cannot read the Secret.");
        }
    };
    check_run.pass(CheckKind::Secret, format!("Secret {name} exists."))?;
    match method {
        AuthType::ClientCredentials | AuthType::Jwt => {
            let read = KeyDecryption::default().parse_secret(context, method, secret).await;
            check_app_credentials(check_run, read, &format!("Secret {name}"))
        }
        AuthType::Oauth2 => check_oauth_tokens(check_run, kube, context, secret).await,
    }
}

fn skip_credentials(check_run: &mut CheckRun<'_, '_>, why: &str) -> Result<BoxAuth, CliError> {
    check_run.skip_checks(&[CheckKind::Credentials], why)?;
    Ok(BoxAuth::Unavailable(why.to_owned()))
}

/// Checks the credentials of an app.
fn check_app_credentials(
    check_run: &mut CheckRun<'_, '_>,
    read: Result<Credentials, Failure>,
    source: &str,
) -> Result<BoxAuth, CliError> {
    match read {
        Ok(credentials) => {
            check_run.pass(CheckKind::Credentials, credentials_message(&credentials, source))?;
            Ok(BoxAuth::Credentials(credentials))
        }
        // The credentials are valid, but belong to another enterprise.
        Err(failure) if failure.reason == Reason::EnterpriseMismatch => {
            check_run.pass(CheckKind::Credentials, format!("{source} is complete and readable."))?;
            Ok(BoxAuth::WrongEnterprise(failure))
        }
        Err(failure) => {
            check_run.fail(CheckKind::Credentials, &failure)?;
            Ok(BoxAuth::Unavailable("Not checked: the credentials cannot be used.".to_owned()))
        }
    }
}

fn credentials_message(credentials: &Credentials, source: &str) -> String {
    let what = match credentials {
        Credentials::ClientCredentials(_) => "has a client id and a client secret",
        Credentials::Jwt(_) => "is complete, and its key can be decrypted",
        Credentials::Oauth2(_) | Credentials::AuthorizationCode(_) => {
            "has a client id, a client secret and a refresh token"
        }
    };
    format!("{source} {what}; the app's client id is {}.", credentials.client_id())
}

/// Checks a user's authorization. Its tokens belong to the operator and are only read.
async fn check_oauth_tokens(
    check_run: &mut CheckRun<'_, '_>,
    kube: &KubeContext,
    context: &FailureContext,
    seed: Secret,
) -> Result<BoxAuth, CliError> {
    match KeyDecryption::default().parse_secret(context, AuthType::Oauth2, seed).await {
        Ok(credentials) => {
            let message = credentials_message(&credentials, &format!("Secret {}", context.secret));
            check_run.pass(CheckKind::Credentials, message)?;
        }
        Err(failure) => check_run.fail(CheckKind::Credentials, &failure)?,
    }
    let token_secret = context.token_secret_name();
    let why = match kube.get_secret(&token_secret).await {
        Ok(secret) => match auth::access_token_from_secret(secret) {
            Some(token) => return Ok(BoxAuth::AccessToken(token)),
            None => format!("Secret {token_secret} has no access token yet"),
        },
        Err(KubeError::NotFound) => format!("the operator has stored no tokens yet (Secret {token_secret})"),
        Err(error) => {
            let message =
                errors::kube_error_message(&error, &Permission::in_namespace("get", "secrets", &kube.namespace));
            message.trim_end_matches('.').to_owned()
        }
    };
    Ok(BoxAuth::Unavailable(format!(
        "Not checked: {why}. The plugin requests no new token: a refresh token works once and belongs to the operator."
    )))
}

async fn check_file(file: &Path, args: &CheckArgs, io: &mut Io<'_>) -> Result<ExitStatus, CliError> {
    let source = if file == Path::new("-") { "the file".to_owned() } else { file.display().to_string() };
    let config = io.read_file(file, "the file from Box's developer console")?;
    let read = KeyDecryption::default().parse_jwt_config(config.into()).await;
    let own_enterprise = read.as_ref().map(Credentials::enterprise_id);
    let enterprise = match (&args.enterprise_id, own_enterprise) {
        (Some(given), _) => given.clone(),
        (None, Ok(Some(own))) => own.to_owned(),
        (None, Err(_)) => String::new(),
        (None, Ok(None)) => {
            return Err(CliError::usage(format!(
                "{source} contains no enterprise id: pass --enterprise-id (Admin Console > Account & Billing)."
            )));
        }
    };
    // The Secret for the file has no name yet.
    let context = FailureContext {
        enterprise,
        secret: "NAME".to_owned(),
        method: Some(AuthType::Jwt),
        user_id: args.user_id.clone(),
        ..FailureContext::default()
    };
    let read = match read {
        Ok(credentials) => auth::verify_enterprise_id(&context, &credentials).map(|()| credentials),
        Err(why) => Err(Failure::new(Reason::CredentialsInvalid, why.to_string(), "")),
    };
    let mut check_run = CheckRun::new(args.output, io);
    let auth = check_app_credentials(&mut check_run, read, &source)?;
    Box::pin(box_checks::run_box_checks(&mut check_run, &args.box_api, &context, auth)).await?;
    check_run.print_summary(None)
}
