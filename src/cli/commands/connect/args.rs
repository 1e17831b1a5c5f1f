//! What may be asked of `connect`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use crate::{
    api::AuthType,
    box_client::BaseUrl,
    cli::output::format::{parse_duration, parse_enterprise_id},
};

#[derive(Args, Debug)]
pub(crate) struct ConnectArgs {
    /// The connection
    pub(crate) name: String,
    /// How a new connection signs in. One that is there says so itself
    #[arg(long, value_enum)]
    pub(crate) method: Option<AuthTypeArg>,
    /// The Box enterprise of a new connection; the Admin Console shows its id under Account & Billing
    #[arg(long, value_name = "ID", value_parser = parse_enterprise_id)]
    pub(crate) enterprise_id: Option<String>,
    /// Do not ask before a new connection is created
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// oauth2, client-credentials: the client id of the Box app, whose client secret is read from standard input. Without
    /// it, the app in the Secret
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// jwt: the configuration file of the Box app, - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// oauth2: print the address of Box's page, and read the address that it leads to from standard input
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// oauth2: the port of 127.0.0.1 that Box's page leads to; 0 is any free one
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// client-credentials, jwt: write them into the Secret without trying them
    #[arg(long)]
    pub(crate) no_check: bool,
    /// Do not ask the operator for a sync
    #[arg(long)]
    pub(crate) no_sync: bool,
    /// How long to wait for the grant, and then for the end of the sync
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
    /// Where Box's API is: HTTPS, or HTTP to this machine only
    #[arg(long, value_name = "URL", env = "BOXSYNC_BOX_API_URL", default_value_t)]
    pub(crate) box_api_url: BaseUrl,
    /// oauth2: where Box's page for users is: HTTPS, or HTTP to this machine only
    #[arg(long, value_name = "URL", env = "BOXSYNC_BOX_ACCOUNT_URL", default_value = "https://account.box.com")]
    pub(crate) box_account_url: BaseUrl,
}

/// A way to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuthTypeArg {
    /// A user of the enterprise grants access
    Oauth2,
    /// A client id and a client secret
    ClientCredentials,
    /// The configuration file of an app with a key pair
    Jwt,
}

impl From<AuthTypeArg> for AuthType {
    fn from(method: AuthTypeArg) -> Self {
        match method {
            AuthTypeArg::Oauth2 => AuthType::Oauth2,
            AuthTypeArg::ClientCredentials => AuthType::ClientCredentials,
            AuthTypeArg::Jwt => AuthType::Jwt,
        }
    }
}
