//! Command-line arguments of `connect`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, builder::PossibleValue};

use crate::{
    api::AuthType,
    box_client::BaseUrl,
    cli::{
        box_api::BoxApiArgs,
        output::format::{parse_duration, parse_enterprise_id, parse_user_id},
    },
};

#[derive(Args, Debug)]
pub(crate) struct ConnectArgs {
    /// The connection
    pub(crate) name: String,
    /// How a new connection signs in; existing connections define it
    #[arg(long, value_enum)]
    pub(crate) method: Option<AuthType>,
    /// The Box enterprise id of a new connection (Admin Console > Account & Billing)
    #[arg(long, value_name = "ID", value_parser = parse_enterprise_id)]
    pub(crate) enterprise_id: Option<String>,
    /// client-credentials, jwt: the id of the Box user that the app of a new connection acts as: an admin, or a co-admin who
    /// may manage users; default: the app's service account
    #[arg(long, value_name = "ID", value_parser = parse_user_id)]
    pub(crate) user_id: Option<String>,
    /// Create a new connection without asking
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// oauth2, client-credentials: the client id of the Box app, whose client secret is read from standard input;
    /// default: the app in the Secret
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// jwt: the configuration file of the Box app, - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// oauth2: print the address of Box's page, and read the redirect address from standard input
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// oauth2: the callback port on 127.0.0.1; 0 picks a free one
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// client-credentials, jwt: write the credentials without verifying them
    #[arg(long)]
    pub(crate) no_check: bool,
    /// Do not request a sync
    #[arg(long)]
    pub(crate) no_sync: bool,
    /// How long to wait for the authorization, and then for the sync
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) box_api: BoxApiArgs,
    /// oauth2: base URL of Box's authorization page: HTTPS, or HTTP to this machine only
    #[arg(long, value_name = "URL", env = "BOXSYNC_BOX_ACCOUNT_URL", default_value = "https://account.box.com")]
    pub(crate) box_account_url: BaseUrl,
}

impl ValueEnum for AuthType {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Oauth2, Self::ClientCredentials, Self::Jwt]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Oauth2 => "A user of the enterprise grants access",
            Self::ClientCredentials => "A client id and a client secret",
            Self::Jwt => "The configuration file of an app with a key pair",
        };
        Some(PossibleValue::new(method_name(*self)).help(help))
    }
}

/// The value of --method.
pub(crate) fn method_name(method: AuthType) -> &'static str {
    match method {
        AuthType::Oauth2 => "oauth2",
        AuthType::ClientCredentials => "client-credentials",
        AuthType::Jwt => "jwt",
    }
}
