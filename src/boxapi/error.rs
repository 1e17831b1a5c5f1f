//! What can go wrong while talking to Box, by what it means.

use std::time::Duration;

use jiff::SignedDuration;

use super::grant::Unkept;
use super::said::Said;

/// Why an errand to Box failed. Displays as one sentence that a user may read: what happened, in Box's words.
/// What to do about it is the caller's to say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Box answered, and said no. Trying again helps only after somebody changed something.
    #[error("{refusal}: {said}.")]
    Refused { refusal: Refusal, said: Said },
    /// 429, still after the tries, or with a wait that is too long to sit out here.
    #[error("Box asks for fewer requests: {said}.")]
    Limited {
        /// What Box told with its last answer (`Retry-After`), at most 24 h.
        wait: Option<Duration>,
        said: Said,
    },
    /// 5xx, 202, the network or the time limit, still after the tries.
    #[error("Box is not available: {what}.")]
    Unavailable {
        /// What Box told with its last answer (`Retry-After`), at most 24 h.
        wait: Option<Duration>,
        /// A short phrase, safe to show: no token, no address beyond the host.
        what: String,
    },
    /// An answer that makes no sense. Nothing of it is used.
    #[error("{}", invalid(.what, .said))]
    Invalid { what: Nonsense, said: Said },
    /// Box finds the time or the id of our assertion wrong, also after the one correction by its own `Date`.
    #[error("Box refused the time of the signed assertion{}: {said}.", apart(*.skew))]
    ClockSkew {
        said: Said,
        /// Box's clock minus ours, where its answer had a `Date`.
        skew: Option<SignedDuration>,
    },
    /// One of the caller's caps, or the transport's, was reached.
    #[error("{0}.")]
    TooLarge(Cap),
    /// The tokens of a user could not be had from where they are kept, or put there. Not Box's doing.
    #[error("{0}.")]
    Unkept(#[from] Unkept),
    /// The visit was told to stop.
    #[error("The errand to Box was stopped.")]
    Stopped,
}

impl Error {
    /// How long Box asked to be left alone, where it did.
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::Limited { wait, .. } | Self::Unavailable { wait, .. } => *wait,
            Self::Refused { .. }
            | Self::Invalid { .. }
            | Self::ClockSkew { .. }
            | Self::TooLarge(_)
            | Self::Unkept(_)
            | Self::Stopped => None,
        }
    }

    pub(super) fn invalid(what: Nonsense) -> Self {
        Self::Invalid { what, said: Said::default() }
    }
}

/// What Box refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    #[error("Box rejected the credentials")]
    CredentialsRejected(Rejected),
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
pub enum Rejected {
    /// `invalid_client`: the client id or the client secret is wrong.
    ClientInvalid,
    /// "Grant credentials are invalid", one message for four causes: a wrong secret, a wrong enterprise id,
    /// an app without "App + Enterprise Access", an app that no Box admin authorized.
    GrantInvalid,
    /// The key pair that signs (`kid`) is not one of the app's: it was replaced.
    KeyReplaced,
    /// The subject (`sub`) is not an enterprise that this app belongs to: the enterprise id is wrong.
    SubjectWrong,
    /// The app is of another type: this way of signing in is not switched on for it.
    GrantTypeNotAllowed,
    /// The code of the authorize page is unknown: it was used, or its 30 s are over.
    CodeInvalid,
    /// `invalid_grant` with words that this version does not know.
    Unknown,
}

/// Why an answer makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Nonsense {
    /// HTML, a truncated body, nothing at all.
    #[error("its answer is not complete JSON")]
    NotJson,
    #[error("its answer is not a page of users")]
    NotAPage,
    #[error("its answer is a page by offset although markers were asked for")]
    OffsetReply,
    #[error("it sent a marker that it had sent before")]
    MarkerRepeated,
    /// Empty pages, or pages that came before, in a row.
    #[error("it sent {0} pages in a row without anybody new")]
    Endless(u32),
    #[error("it listed a user without an id")]
    UserWithoutId,
    /// An enterprise always has at least its admin.
    #[error("its list ended without a single user")]
    NoUsers,
    #[error("it answered a request for a token without a usable one")]
    NoToken,
    #[error("it answered the question who we are without an account")]
    NoAccount,
    /// Never followed: it would carry the token elsewhere.
    #[error("it answered {0}, a redirect, which is not followed")]
    Redirect(u16),
    #[error("it answered {0}")]
    Status(u16),
}

/// A cap that was reached, and how much it allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Cap {
    #[error("Box lists more than {0} users")]
    Users(usize),
    #[error("The list takes more than {0} pages")]
    Pages(u32),
    #[error("An answer of Box is larger than {0} bytes")]
    Bytes(usize),
}

fn invalid(what: &Nonsense, said: &Said) -> String {
    match said.is_empty() {
        true => format!("Box's answer makes no sense: {what}."),
        false => format!("Box's answer makes no sense: {what}: {said}."),
    }
}

fn apart(skew: Option<SignedDuration>) -> String {
    match skew {
        None => String::new(),
        Some(skew) if skew.is_negative() => {
            format!(" (our clock is {} s ahead of Box's)", skew.abs().as_secs())
        }
        Some(skew) => format!(" (our clock is {} s behind Box's)", skew.as_secs()),
    }
}
