//! The three enterprises of the demo.

use crate::{
    clock::Clock,
    config::{AuthMethod, EnterpriseConfig},
    enterprise::Enterprise,
    sim::BoxSim,
};

/// One enterprise of the demo, with credentials that are valid only here.
#[derive(Clone, Copy, Debug)]
pub struct DemoEnterprise {
    pub id: &'static str,
    pub name: &'static str,
    pub users: usize,
    pub auth: AuthMethod,
    pub client_id: &'static str,
    pub client_secret: &'static str,
}

pub const ACME: DemoEnterprise = DemoEnterprise {
    id: "1001",
    name: "Acme",
    users: 1_200,
    auth: AuthMethod::ClientCredentials,
    client_id: "acmeDemoClientId0000000000000000",
    client_secret: "acmeDemoClientSecret000000000000",
};

pub const GLOBEX: DemoEnterprise = DemoEnterprise {
    id: "1002",
    name: "Globex",
    users: 12_000,
    auth: AuthMethod::Jwt,
    client_id: "globexDemoClientId00000000000000",
    client_secret: "globexDemoClientSecret0000000000",
};

/// Its app is not authorized.
pub const INITECH: DemoEnterprise = DemoEnterprise {
    id: "1003",
    name: "Initech",
    users: 800,
    auth: AuthMethod::ClientCredentials,
    client_id: "initechDemoClientId0000000000000",
    client_secret: "initechDemoClientSecret000000000",
};

/// The simulated Box of the demo, and its enterprises.
#[derive(Clone)]
pub struct Demo {
    pub sim: BoxSim,
    pub acme: Enterprise,
    pub globex: Enterprise,
    pub initech: Enterprise,
}

#[must_use]
pub fn demo(clock: Clock) -> Demo {
    let sim = BoxSim::new(clock);
    let add = |demo: DemoEnterprise| {
        let spec = EnterpriseConfig::new(demo.id).name(demo.name).users(demo.users).auth(demo.auth);
        sim.add_enterprise(spec.credentials(demo.client_id, demo.client_secret))
    };
    let (acme, globex, initech) = (add(ACME), add(GLOBEX), add(INITECH));
    initech.deauthorize_app();
    Demo { sim, acme, globex, initech }
}
