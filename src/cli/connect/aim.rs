//! The connection that is meant: one that is there, or one that is to be created, and how it signs in.

use kube::{
    Api, Resource,
    api::{ApiResource, DynamicObject},
};
use serde_json::{Value, json};

use super::flags::ConnectFlags;
use crate::{
    api::{AuthType, BoxConnection},
    cli::{
        desk::{Desk, Seat},
        exit::{Exit, Stop},
        site::{Site, writing},
        trouble::{self, Right},
    },
    cluster::Trouble,
    signin::Names,
};

pub(super) struct Aim {
    pub(super) names: Names,
    pub(super) method: AuthType,
    connection: Aimed,
}

enum Aimed {
    There(Box<BoxConnection>),
    /// As it is to be created.
    New(Value),
}

/// What the flag --method calls it.
pub(super) fn word(method: AuthType) -> &'static str {
    match method {
        AuthType::Oauth2 => "oauth2",
        AuthType::ClientCredentials => "client-credentials",
        AuthType::Jwt => "jwt",
    }
}

pub(super) async fn find(flags: &ConnectFlags, site: &Site) -> Result<Aim, Stop> {
    let api = site.cluster.api::<BoxConnection>(&site.namespace);
    let wanted = flags.method.map(AuthType::from);
    match (site.cluster.call(api.get(&flags.name)).await, wanted, &flags.enterprise_id) {
        (Ok(connection), _, _) => there(flags, connection),
        (Err(Trouble::NotFound), Some(method), Some(enterprise)) => Ok(new(&flags.name, method, enterprise, site)),
        (Err(Trouble::NotFound), None, None) => Err(match site.connection(&flags.name).await {
            Err(Stop::Told(exit, said)) => {
                Stop::Told(exit, format!("{said} To create it, pass --method and --enterprise-id."))
            }
            Err(other) => other,
            // It has come meanwhile.
            Ok(_) => Stop::trouble("somebody else changed it in this moment. Try it again."),
        }),
        (Err(Trouble::NotFound), _, _) => Err(Stop::usage(format!(
            "there is no BoxConnection {} yet, and a new one needs both --method and --enterprise-id.",
            flags.name
        ))),
        (Err(other), _, _) => Err(trouble::told(&other, &Right::to("get", "boxconnections", &site.namespace))),
    }
}

fn there(flags: &ConnectFlags, connection: BoxConnection) -> Result<Aim, Stop> {
    let name = &flags.name;
    let names = Names::of(&connection);
    let Some(method) = names.method else {
        return Err(Stop::trouble(format!(
            "BoxConnection {name} names no sign-in method, or more than one. Set exactly one of spec.auth.clientCredentials, spec.auth.jwt and spec.auth.oauth2."
        )));
    };
    if let Some(other) = flags.method.map(AuthType::from).filter(|other| *other != method) {
        return Err(Stop::usage(format!(
            "BoxConnection {name} is there already, and signs in by {}. Leave out --method {}, or change its spec.auth first.",
            word(method),
            word(other)
        )));
    }
    if let Some(other) = flags.enterprise_id.as_ref().filter(|other| **other != names.enterprise) {
        return Err(Stop::usage(format!(
            "BoxConnection {name} is there already, and is for enterprise {}. For enterprise {other}, choose another name.",
            names.enterprise
        )));
    }
    Ok(Aim { names, method, connection: Aimed::There(Box::new(connection)) })
}

fn new(name: &str, method: AuthType, enterprise: &str, site: &Site) -> Aim {
    let names = Names {
        connection: name.to_owned(),
        namespace: site.namespace.clone(),
        secret: format!("{name}-box"),
        uid: String::new(),
        enterprise: enterprise.to_owned(),
        method: Some(method),
        client_id: None,
    };
    let field = match method {
        AuthType::Oauth2 => "oauth2",
        AuthType::ClientCredentials => "clientCredentials",
        AuthType::Jwt => "jwt",
    };
    let manifest = json!({
        "apiVersion": BoxConnection::api_version(&()), "kind": BoxConnection::kind(&()),
        "metadata": { "name": name, "namespace": site.namespace },
        "spec": { "enterpriseId": enterprise, "auth": { field: { "secretRef": { "name": names.secret } } } },
    });
    Aim { names, method, connection: Aimed::New(manifest) }
}

impl Aim {
    /// Whether a new connection is wanted, by flag or by answer. One that is there needs no word.
    pub(super) fn agreed(&self, flags: &ConnectFlags, desk: &mut Desk<'_>) -> Result<bool, Stop> {
        let Aimed::New(manifest) = &self.connection else { return Ok(true) };
        let yaml = serde_saphyr::to_string(manifest)
            .map_err(|e| Stop::trouble(format!("the BoxConnection cannot be shown: {e}.")))?;
        writeln!(desk.out, "{}", yaml.trim_end())?;
        match (flags.yes, desk.answerer) {
            (true, _) => Ok(true),
            (false, Seat::Program) => Err(Stop::Told(
                Exit::NotSo,
                "nobody is here to be asked whether this may be created. Pass --yes.".to_owned(),
            )),
            (false, Seat::Person) => Ok(desk.agreed(&format!(
                "Create BoxConnection {} for enterprise {}? [y/N] ",
                self.names.connection, self.names.enterprise
            ))?),
        }
    }

    /// The connection, created if it is not there.
    pub(super) async fn create(self, site: &Site, desk: &mut Desk<'_>) -> Result<BoxConnection, Stop> {
        let manifest = match self.connection {
            Aimed::There(connection) => return Ok(*connection),
            Aimed::New(manifest) => manifest,
        };
        // Not as a BoxConnection: that would write down the defaults, as if somebody had chosen them.
        let object: DynamicObject = serde_json::from_value(manifest)
            .map_err(|e| Stop::trouble(format!("the BoxConnection cannot be written: {e}.")))?;
        let resource = ApiResource::erase::<BoxConnection>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(site.cluster.client().clone(), &site.namespace, &resource);
        let created = site.cluster.call(api.create(&writing(), &object)).await;
        created.map_err(|e| trouble::told(&e, &Right::to("create", "boxconnections", &site.namespace)))?;
        writeln!(desk.out, "boxconnection.boxsync.dev/{} created", self.names.connection)?;
        site.connection(&self.names.connection).await
    }
}
