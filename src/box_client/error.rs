//! Errors of the Box client, by their meaning.

use std::time::Duration;

use jiff::SignedDuration;

use super::{auth::token_store::TokenStoreError, error_body::ErrorBody};

/// Why a call to Box failed. Displays as one sentence for users: what happened, with Box's message. The caller adds what
/// to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Box denied the request. A retry helps only after a change in Box or in the credentials.
    #[error("{denial}: {body}.")]
    Denied { denial: Denial, body: ErrorBody },
    /// 429 after all retries, or with a `Retry-After` that is too long to wait for here.
    #[error("Box rate-limits the requests: {body}.")]
    RateLimited {
        /// The `Retry-After` of the last response, at most 24 h.
        retry_after: Option<Duration>,
        body: ErrorBody,
    },
    /// 5xx, 202, a network error or a timeout, after all retries.
    #[error("Box is not available: {detail}.")]
    Unavailable {
        /// The `Retry-After` of the last response, at most 24 h.
        retry_after: Option<Duration>,
        /// A short phrase, safe to show: no token, no URL beyond the host.
        detail: String,
    },
    /// An invalid response. Nothing of it is used.
    #[error("{}", format_invalid_response(.problem, .body))]
    InvalidResponse { problem: InvalidResponse, body: ErrorBody },
    /// Box rejected the time or the id of the assertion, also after one correction by its `Date` header.
    #[error("Box rejected the time in the signed assertion{}: {body}.", format_clock_skew(*.skew))]
    ClockSkew {
        body: ErrorBody,
        /// Box's clock minus ours, if the response had a `Date`.
        skew: Option<SignedDuration>,
    },
    /// A limit of the caller or of the transport was exceeded.
    #[error("{0}.")]
    LimitExceeded(LimitExceeded),
    /// The tokens of a user's authorization could not be loaded or stored. Not caused by Box.
    #[error("{0}.")]
    TokenStore(#[from] TokenStoreError),
    /// The run was cancelled.
    #[error("The call to Box was cancelled.")]
    Cancelled,
}

impl Error {
    /// The `Retry-After` of the last response.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Unavailable { retry_after, .. } => *retry_after,
            Self::Denied { .. }
            | Self::InvalidResponse { .. }
            | Self::ClockSkew { .. }
            | Self::LimitExceeded(_)
            | Self::TokenStore(_)
            | Self::Cancelled => None,
        }
    }

    /// The list lacks users who are still in the enterprise, as Box says of each of them.
    pub fn incomplete_list(users: usize) -> Self {
        Self::invalid_response(InvalidResponse::MissingUsers(users))
    }

    /// Two answers in a row contain different users.
    pub fn different_lists() -> Self {
        Self::invalid_response(InvalidResponse::DifferentLists)
    }

    /// Adds the number of the page, from 1, to the reason why it is invalid.
    pub(super) fn on_page(self, number: u32) -> Self {
        match self {
            Self::InvalidResponse { problem: InvalidResponse::EntryWithoutUser { entry, .. }, body } => {
                Self::InvalidResponse { problem: InvalidResponse::EntryWithoutUser { page: number, entry }, body }
            }
            other => other,
        }
    }

    pub(super) fn invalid_response(problem: InvalidResponse) -> Self {
        Self::InvalidResponse { problem, body: ErrorBody::default() }
    }
}

/// What Box denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Denial {
    #[error("Box rejected the credentials")]
    CredentialsRejected(CredentialRejection),
    #[error("Box no longer accepts the authorization")]
    AuthorizationExpired,
    #[error("The app is not authorized for the enterprise")]
    AppNotAuthorized,
    #[error("Box blocks access from this network")]
    AccessBlocked,
    #[error("Box denied the permission")]
    PermissionDenied,
}

/// Which part of the credentials Box rejected, as far as its message shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialRejection {
    /// `invalid_client`: the client id or the client secret is wrong.
    InvalidClient,
    /// "Grant credentials are invalid", one message for four causes: a wrong secret, a wrong enterprise id,
    /// an app without "App + Enterprise Access", an app that no Box admin authorized.
    GrantCredentialsInvalid,
    /// The key pair (`kid`) does not belong to the app: it was replaced.
    UnknownKeyId,
    /// The app does not belong to the enterprise (`sub`): the enterprise id is wrong.
    InvalidSubject,
    /// The app has another type: this authentication method is not enabled for it.
    GrantTypeNotAllowed,
    /// The authorization code is unknown: it was used, or it is older than 30 s.
    InvalidCode,
    /// `invalid_grant` with a message that this version does not know.
    Unknown,
}

/// Why a response is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum InvalidResponse {
    /// HTML, a truncated body, or an empty one.
    #[error("the response is not complete JSON")]
    NotJson,
    #[error("the response is not a page of users")]
    NotAUserPage,
    #[error("the response uses offset paging, but marker paging was requested")]
    OffsetPagination,
    #[error("the response repeats an earlier marker")]
    RepeatedMarker,
    /// It makes no URL of at most 65,534 bytes.
    #[error("the marker of the response is too long for a request")]
    MarkerTooLong,
    /// Consecutive pages that are empty or repeat an earlier page.
    #[error("{0} pages in a row contained no new user")]
    NoProgress(u32),
    /// Not counted as nobody: whoever it stands for would be missing.
    #[error("{}", format_entry_without_user(*.page, *.entry))]
    EntryWithoutUser {
        /// The number of the page, from 1; 0 if it is not known.
        page: u32,
        /// The number of the entry on it, from 1.
        entry: usize,
    },
    /// Cutting it could make two users one.
    #[error("the response contains a user id of more than {0} characters")]
    UserIdTooLong(usize),
    /// An enterprise has at least its admin.
    #[error("the list contains no users")]
    EmptyUserList,
    /// Also when the list was fetched a second time.
    #[error(
        "the list was fetched twice, and both times it lacked users: of {0} of them Box says, asked one by one, that they belong to the enterprise"
    )]
    MissingUsers(usize),
    /// Also when the list was fetched a second time.
    #[error("the list was fetched twice, and the two answers contain different users")]
    DifferentLists,
    #[error("the token response contains no usable token")]
    MissingToken,
    #[error("the response to users/me contains no account")]
    MissingAccount,
    /// Not followed, because that would send the token to another host.
    #[error("the response is a redirect ({0}), which is not followed")]
    Redirect(u16),
    #[error("the response has status {0}")]
    Status(u16),
}

/// The limit that was exceeded, with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum LimitExceeded {
    #[error("Box lists more than {0} users")]
    Users(usize),
    #[error("The list has more than {0} pages")]
    Pages(u32),
    #[error("A response from Box is larger than {0} bytes")]
    Bytes(usize),
    #[error("The list takes more than {0} bytes of memory")]
    ListBytes(usize),
}

fn format_entry_without_user(page: u32, entry: usize) -> String {
    let page = if page == 0 { String::new() } else { format!(" of page {page}") };
    format!("entry {entry}{page} is null, or a user without an id")
}

fn format_invalid_response(problem: &InvalidResponse, body: &ErrorBody) -> String {
    match body.is_empty() {
        true => format!("The response from Box is invalid: {problem}."),
        false => format!("The response from Box is invalid: {problem}: {body}."),
    }
}

fn format_clock_skew(skew: Option<SignedDuration>) -> String {
    match skew {
        None => String::new(),
        Some(skew) if skew.is_negative() => {
            format!(" (the local clock is {} s ahead of Box's)", skew.abs().as_secs())
        }
        Some(skew) => format!(" (the local clock is {} s behind Box's)", skew.as_secs()),
    }
}
