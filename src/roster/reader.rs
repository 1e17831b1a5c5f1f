//! Reads the published list as any other program would: the roster, then the slices that it references. If a slice is
//! missing or its digest differs, a newer revision was published: start again with the roster.

use futures::{StreamExt, TryStreamExt, stream};
use kube::ResourceExt;

use super::store::Store;
use crate::{
    api::{ROSTER_FORMAT_VERSION, RosterContent, SliceState, UserRoster},
    kube_client::KubeError,
};

const MAX_CONCURRENT_READS: usize = 8;
/// After this many incomplete reads the list is damaged rather than just updated concurrently.
const MAX_READ_ATTEMPTS: usize = 5;
/// Between two attempts at an unchanged roster: a slice was deleted, or the list is being restored.
const RETRY_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);

/// The states of slices whose users belong to the list: held users belong to it until their removal is approved.
pub const LIST_STATES: &[SliceState] = &[SliceState::Live, SliceState::Held];

/// One complete revision of a list.
#[derive(Clone, Debug)]
pub struct RosterSnapshot {
    pub roster: UserRoster,
    /// The data of the requested slices, in the roster's order.
    pub slices: Vec<(SliceState, String)>,
}

/// Why the list cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No list has been published (yet). This does not mean an empty list.
    #[error("no list has been published")]
    NoRoster,
    /// Slices that the roster references are missing or damaged.
    #[error("a slice of revision {revision} is missing or damaged")]
    Incomplete { revision: i64 },
    /// A newer version of the operator published it.
    #[error("the list is in format {format}, which this version cannot read")]
    NewerFormat { format: i64 },
    #[error(transparent)]
    Kube(#[from] KubeError),
}

impl RosterSnapshot {
    /// The lines of the slices of this state, each a JSON object.
    pub fn record_lines(&self, state: SliceState) -> impl Iterator<Item = &str> {
        self.slices.iter().filter(move |(s, _)| *s == state).flat_map(|(_, data)| data.lines())
    }
}

/// Reads one revision: its slices of these states, limited to the names in `only` if given.
///
/// # Errors
/// There is no list, or it cannot be read completely.
pub async fn read_snapshot(
    store: &Store,
    states: &[SliceState],
    only: Option<&[String]>,
) -> Result<RosterSnapshot, ReadError> {
    let mut revision = 0;
    let mut version = None;
    for attempt in 0..MAX_READ_ATTEMPTS {
        let roster = store.get_roster().await?.ok_or(ReadError::NoRoster)?;
        if roster.spec.format > ROSTER_FORMAT_VERSION {
            return Err(ReadError::NewerFormat { format: roster.spec.format });
        }
        if attempt > 0 && version == roster.resource_version() {
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
        revision = roster.spec.revision;
        version = roster.resource_version();
        if let Some(slices) = read_slices(store, &roster.spec, states, only).await? {
            return Ok(RosterSnapshot { roster, slices });
        }
    }
    Err(ReadError::Incomplete { revision })
}

/// The slices; `None` if one of them is missing or its digest differs.
async fn read_slices(
    store: &Store,
    roster: &RosterContent,
    states: &[SliceState],
    only: Option<&[String]>,
) -> Result<Option<Vec<(SliceState, String)>>, KubeError> {
    let matching = roster.slices.iter().filter(|slice| states.contains(&slice.state));
    let wanted: Vec<_> = matching.filter(|slice| only.is_none_or(|only| only.contains(&slice.name))).collect();
    let reads = stream::iter(0..wanted.len()).map(async |at| store.get_slice_data(wanted[at]).await);
    let read: Vec<Option<String>> = reads.buffered(MAX_CONCURRENT_READS).try_collect().await?;
    Ok(wanted.iter().zip(read).map(|(slice, data)| data.map(|data| (slice.state, data))).collect())
}
