//! The flags of the commands that call Box from this terminal.

use clap::Args;

use crate::box_client::{self, BaseUrl, CaBundle, Transport, TransportError};

#[derive(Args, Debug)]
pub(crate) struct BoxApiArgs {
    /// Base URL of the Box API: HTTPS, or HTTP to this machine only
    #[arg(long = "box-api-url", value_name = "URL", env = "BOXSYNC_BOX_API_URL", default_value_t)]
    pub(crate) base_url: BaseUrl,
    /// PEM file with certificates that may sign those of Box, in addition to those that this system trusts
    #[arg(long, value_name = "FILE", env = "BOXSYNC_CA_BUNDLE")]
    ca_bundle: Option<CaBundle>,
}

impl BoxApiArgs {
    /// # Errors
    /// The trusted certificates cannot be used.
    pub(crate) fn transport(&self) -> Result<Transport, TransportError> {
        box_client::https_transport(env!("CARGO_PKG_VERSION"), &self.ca_bundle.clone().unwrap_or_default())
    }
}
