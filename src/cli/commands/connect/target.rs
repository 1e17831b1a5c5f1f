//! The target of `connect`: an existing connection or one to create, and its sign-in method.

use kube::{
    Api, Resource,
    api::{ApiResource, DynamicObject},
};
use serde_json::{Value, json};

use super::args::{ConnectArgs, method_name};
use crate::{
    api::{AuthType, BoxConnection},
    auth::FailureContext,
    cli::{
        exit_code::CliError,
        io::Io,
        kube_context::{KubeContext, post_params},
    },
    kube_client::KubeError,
};

pub(crate) struct ConnectTarget {
    pub(crate) context: FailureContext,
    pub(crate) method: AuthType,
    state: TargetState,
}

enum TargetState {
    Existing(Box<BoxConnection>),
    /// The manifest to create.
    New(Value),
}

pub(crate) async fn resolve_target(args: &ConnectArgs, kube: &KubeContext) -> Result<ConnectTarget, CliError> {
    let api = kube.client.api::<BoxConnection>(&kube.namespace);
    let requested_method = args.method;
    match (kube.client.call(api.get(&args.name)).await, requested_method, &args.enterprise_id) {
        (Ok(connection), _, _) => existing_target(args, connection),
        (Err(KubeError::NotFound), Some(method), Some(enterprise)) => new_target(args, method, enterprise, kube),
        (Err(KubeError::NotFound), None, None) => Err(match kube.get_connection(&args.name).await {
            Err(CliError::Message(exit, message)) => {
                CliError::Message(exit, format!("{message} To create it, pass --method and --enterprise-id."))
            }
            Err(other) => other,
            // It was created concurrently.
            Ok(_) => CliError::error("it was changed concurrently. Retry."),
        }),
        (Err(KubeError::NotFound), _, _) => Err(CliError::usage(format!(
            "there is no BoxConnection {} yet; creating one requires both --method and --enterprise-id.",
            args.name
        ))),
        (Err(other), _, _) => Err(kube.explain_error("get", "boxconnections")(other)),
    }
}

fn existing_target(args: &ConnectArgs, connection: BoxConnection) -> Result<ConnectTarget, CliError> {
    let name = &args.name;
    let context = FailureContext::for_connection(&connection);
    let Some(method) = context.method else {
        return Err(CliError::error(format!(
            "BoxConnection {name} must set exactly one sign-in method: spec.auth.clientCredentials, spec.auth.jwt and spec.auth.oauth2."
        )));
    };
    if let Some(other) = args.method.filter(|other| *other != method) {
        return Err(CliError::usage(format!(
            "BoxConnection {name} already exists and signs in with {}. Leave out --method {}, or change its spec.auth first.",
            method_name(method),
            method_name(other)
        )));
    }
    if let Some(other) = args.enterprise_id.as_ref().filter(|other| **other != context.enterprise) {
        return Err(CliError::usage(format!(
            "BoxConnection {name} already exists for enterprise {}. For enterprise {other}, choose another name.",
            context.enterprise
        )));
    }
    if let Some(other) = args.user_id.as_ref().filter(|other| context.user_id.as_ref() != Some(*other)) {
        let now = context.user_id.map_or("no userId".to_owned(), |user| format!("userId {user}"));
        return Err(CliError::usage(format!(
            "BoxConnection {name} already exists and has {now} in its spec.auth. Leave out --user-id {other}, or change its spec.auth first."
        )));
    }
    Ok(ConnectTarget { context, method, state: TargetState::Existing(Box::new(connection)) })
}

fn new_target(
    args: &ConnectArgs,
    method: AuthType,
    enterprise: &str,
    kube: &KubeContext,
) -> Result<ConnectTarget, CliError> {
    let ConnectArgs { name, user_id, .. } = args;
    if method == AuthType::Oauth2 && user_id.is_some() {
        return Err(CliError::usage("--method oauth2 acts as the user who grants access; --user-id does not apply."));
    }
    let context = FailureContext {
        connection: name.to_owned(),
        namespace: kube.namespace.clone(),
        secret: format!("{name}-box"),
        enterprise: enterprise.to_owned(),
        method: Some(method),
        user_id: user_id.clone(),
        ..FailureContext::default()
    };
    let mut auth = json!({ "secretRef": { "name": context.secret } });
    if let Some(user) = user_id {
        auth["userId"] = json!(user);
    }
    let manifest = json!({
        "apiVersion": BoxConnection::api_version(&()), "kind": BoxConnection::kind(&()),
        "metadata": { "name": name, "namespace": kube.namespace },
        "spec": { "enterpriseId": enterprise, "auth": { json!(method).as_str().unwrap_or_default(): auth } },
    });
    Ok(ConnectTarget { context, method, state: TargetState::New(manifest) })
}

impl ConnectTarget {
    /// Shows a new connection and asks whether to create it. An existing one needs no confirmation.
    pub(crate) fn confirm_creation(&self, args: &ConnectArgs, io: &mut Io<'_>) -> Result<bool, CliError> {
        let TargetState::New(manifest) = &self.state else { return Ok(true) };
        let yaml = serde_saphyr::to_string(manifest)
            .map_err(|e| CliError::error(format!("the BoxConnection cannot be serialized: {e}.")))?;
        writeln!(io.out, "{}", yaml.trim_end())?;
        let FailureContext { connection, enterprise, .. } = &self.context;
        let question = format!("Create BoxConnection {connection} for enterprise {enterprise}? [y/N] ");
        Ok(args.yes || io.confirm(&question, "pass --yes to create it")?)
    }

    /// Returns the connection, and creates it if necessary.
    pub(crate) async fn create_connection(
        self,
        kube: &KubeContext,
        io: &mut Io<'_>,
    ) -> Result<BoxConnection, CliError> {
        let manifest = match self.state {
            TargetState::Existing(connection) => return Ok(*connection),
            TargetState::New(manifest) => manifest,
        };
        // Not as a BoxConnection, which would set the defaults explicitly.
        let object: DynamicObject = serde_json::from_value(manifest)
            .map_err(|e| CliError::error(format!("the BoxConnection cannot be parsed: {e}.")))?;
        let resource = ApiResource::erase::<BoxConnection>(&());
        let api: Api<DynamicObject> =
            Api::namespaced_with(kube.client.raw_client().clone(), &kube.namespace, &resource);
        let created = kube.client.call(api.create(&post_params(), &object)).await;
        created.map_err(kube.explain_error("create", "boxconnections"))?;
        writeln!(io.out, "boxconnection.boxsync.dev/{} created", self.context.connection)?;
        kube.get_connection(&self.context.connection).await
    }
}
