//! Reading the published list as any other program would: the roster, then the slices that it names. A slice that is
//! missing or has another digest means that the list has moved on: begin again with the roster.

use futures::{StreamExt, TryStreamExt, stream};
use kube::ResourceExt;

use super::store::Store;
use crate::{
    api::{ROSTER_FORMAT_VERSION, RosterContent, SliceState, UserRoster},
    kube_client::KubeError,
};

const MAX_CONCURRENT_READS: usize = 8;
/// A list that moves on so often while it is read is not moving on, it is broken.
const MAX_READ_ATTEMPTS: usize = 5;
/// Between two starts where nothing has changed: somebody deleted a slice, or the list is being restored.
const RETRY_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);

/// The states of the slices that are the list: those who are held belong to it until they are approved to go.
pub const LIST_STATES: &[SliceState] = &[SliceState::Live, SliceState::Held];

/// One revision of a list, whole.
#[derive(Clone, Debug)]
pub struct RosterSnapshot {
    pub roster: UserRoster,
    /// The data of the slices that were asked for, in the roster's order.
    pub slices: Vec<(SliceState, String)>,
}

/// Why there is no list to read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No list was published (yet). That is not an empty list.
    #[error("no list has been published")]
    NoRoster,
    /// Slices that the roster names are missing or damaged.
    #[error("a slice that revision {revision} names is missing or damaged")]
    Incomplete { revision: i64 },
    /// A newer version of the operator wrote it.
    #[error("the list is in format {format}, which this version cannot read")]
    NewerFormat { format: i64 },
    #[error(transparent)]
    Kube(#[from] KubeError),
}

impl RosterSnapshot {
    /// The lines of the slices of these states, each a JSON object.
    pub fn record_lines(&self, state: SliceState) -> impl Iterator<Item = &str> {
        self.slices.iter().filter(move |(s, _)| *s == state).flat_map(|(_, data)| data.lines())
    }
}

/// Reads one revision: its slices of these states and, where `only` is given, only those of them that it names.
///
/// # Errors
/// Where there is no list, or it cannot be read whole.
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

/// The slices; `None` where one of them is missing or has another digest.
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
