//! The options of the controllers, from the operator's flags.

use std::{sync::Arc, time::Duration};

use crate::api::{ExtraMetadata, OperatorRef};

/// Controller options from the command line.
#[derive(Clone, Debug)]
pub struct ControllerOptions {
    /// How many connections may work with Box at once.
    pub max_concurrent_syncs: usize,
    /// Between the end of one listing of a connection and the start of the next.
    pub min_sync_gap: Duration,
    /// Between two probes of a connection.
    pub probe_interval: Duration,
    /// Whether OAuth 2.0 tokens of users are refreshed, which needs the right to write Secrets.
    pub oauth: bool,
    /// The longest time by which scheduled syncs start early.
    pub schedule_spread: Duration,
    /// Box is not called at all.
    pub paused: bool,
    /// Labels and annotations of rosters, slices and token Secrets.
    pub extra_metadata: Arc<ExtraMetadata>,
    /// What the status of each connection says of this operator.
    pub operator: OperatorRef,
}
