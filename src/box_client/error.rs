//! What can go wrong while talking to Box, by what it means.

use std::time::Duration;

use jiff::SignedDuration;

use super::{auth::token_store::TokenStoreError, error_body::ErrorBody};

/// Why an errand to Box failed. Displays as one sentence that a user may read: what happened, in Box's words.
/// What to do about it is the caller's to say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Box answered, and said no. Trying again helps only after somebody changed something.
    #[error("{denial}: {body}.")]
    Denied { denial: Denial, body: ErrorBody },
    /// 429, still after the tries, or with a wait that is too long to sit out here.
    #[error("Box asks for fewer requests: {body}.")]
    RateLimited {
        /// What Box told with its last answer (`Retry-After`), at most 24 h.
        retry_after: Option<Duration>,
        body: ErrorBody,
    },
    /// 5xx, 202, the network or the time limit, still after the tries.
    #[error("Box is not available: {detail}.")]
    Unavailable {
        /// What Box told with its last answer (`Retry-After`), at most 24 h.
        retry_after: Option<Duration>,
        /// A short phrase, safe to show: no token, no address beyond the host.
        detail: String,
    },
    /// An answer that makes no sense. Nothing of it is used.
    #[error("{}", format_invalid_response(.problem, .body))]
    InvalidResponse { problem: InvalidResponse, body: ErrorBody },
    /// Box finds the time or the id of our assertion wrong, also after the one correction by its own `Date`.
    #[error("Box refused the time of the signed assertion{}: {body}.", format_clock_skew(*.skew))]
    ClockSkew {
        body: ErrorBody,
        /// Box's clock minus ours, where its answer had a `Date`.
        skew: Option<SignedDuration>,
    },
    /// One of the caller's caps, or the transport's, was reached.
    #[error("{0}.")]
    LimitExceeded(LimitExceeded),
    /// The tokens of a user could not be had from where they are kept, or put there. Not Box's doing.
    #[error("{0}.")]
    TokenStore(#[from] TokenStoreError),
    /// The visit was told to stop.
    #[error("The errand to Box was stopped.")]
    Cancelled,
}

impl Error {
    /// How long Box asked to be left alone, where it did.
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

    pub(super) fn invalid_response(problem: InvalidResponse) -> Self {
        Self::InvalidResponse { problem, body: ErrorBody::default() }
    }
}

/// What Box refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Denial {
    #[error("Box rejected the credentials")]
    CredentialsRejected(CredentialRejection),
    #[error("Box no longer accepts the authorization")]
    AuthorizationExpired,
    #[error("Box says that the app is not authorized for the enterprise")]
    AppNotAuthorized,
    #[error("Box blocks access from here")]
    AccessBlocked,
    #[error("Box denied the permission")]
    PermissionDenied,
}

/// Which part of the credentials Box rejected, as far as its words tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialRejection {
    /// `invalid_client`: the client id or the client secret is wrong.
    InvalidClient,
    /// "Grant credentials are invalid", one message for four causes: a wrong secret, a wrong enterprise id,
    /// an app without "App + Enterprise Access", an app that no Box admin authorized.
    GrantCredentialsInvalid,
    /// The key pair that signs (`kid`) is not one of the app's: it was replaced.
    UnknownKeyId,
    /// The subject (`sub`) is not an enterprise that this app belongs to: the enterprise id is wrong.
    InvalidSubject,
    /// The app is of another type: this way of signing in is not switched on for it.
    GrantTypeNotAllowed,
    /// The code of the authorize page is unknown: it was used, or its 30 s are over.
    InvalidCode,
    /// `invalid_grant` with words that this version does not know.
    Unknown,
}

/// Why an answer makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum InvalidResponse {
    /// HTML, a truncated body, nothing at all.
    #[error("its answer is not complete JSON")]
    NotJson,
    #[error("its answer is not a page of users")]
    NotAUserPage,
    #[error("its answer is a page by offset although markers were asked for")]
    OffsetPagination,
    #[error("it sent a marker that it had sent before")]
    RepeatedMarker,
    /// Empty pages, or pages that came before, in a row.
    #[error("it sent {0} pages in a row without anybody new")]
    NoProgress(u32),
    #[error("it listed a user without an id")]
    MissingUserId,
    /// An enterprise always has at least its admin.
    #[error("its list ended without a single user")]
    EmptyUserList,
    #[error("it answered a request for a token without a usable one")]
    MissingToken,
    #[error("it answered the question who we are without an account")]
    MissingAccount,
    /// Never followed: it would carry the token elsewhere.
    #[error("it answered {0}, a redirect, which is not followed")]
    Redirect(u16),
    #[error("it answered {0}")]
    Status(u16),
}

/// A cap that was reached, and how much it allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum LimitExceeded {
    #[error("Box lists more than {0} users")]
    Users(usize),
    #[error("The list takes more than {0} pages")]
    Pages(u32),
    #[error("An answer of Box is larger than {0} bytes")]
    Bytes(usize),
}

fn format_invalid_response(problem: &InvalidResponse, body: &ErrorBody) -> String {
    match body.is_empty() {
        true => format!("Box's answer makes no sense: {problem}."),
        false => format!("Box's answer makes no sense: {problem}: {body}."),
    }
}

fn format_clock_skew(skew: Option<SignedDuration>) -> String {
    match skew {
        None => String::new(),
        Some(skew) if skew.is_negative() => {
            format!(" (our clock is {} s ahead of Box's)", skew.abs().as_secs())
        }
        Some(skew) => format!(" (our clock is {} s behind Box's)", skew.as_secs()),
    }
}
