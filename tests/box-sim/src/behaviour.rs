//! Ways in which Box is known, or allowed, to behave: each has a name and can be switched on for one enterprise.

use crate::{
    scripted_responses::{EndpointFilter, ScriptedResponse},
    token_error as why,
};
use std::{fmt, str::FromStr};

macro_rules! behaviours {
    ($($name:ident $word:literal $about:literal),* $(,)?) => {
        /// A named behaviour of Box, switched on and off per enterprise.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Behaviour { $(#[doc = $about] $name),* }

        impl Behaviour {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name it is switched on by.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }

            /// What Box does then, in one line.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $(Self::$name => $about),* }
            }
        }
    };
}

behaviours! {
    // Paging
    NextMarkerEmptyString "next-marker-empty-string" "The last page's next_marker is \"\" instead of null.",
    NextMarkerMissing "next-marker-missing" "The last page has no next_marker at all.",
    ShortPages "short-pages" "Every page holds a third of what was asked for.",
    EmptyPageInTheMiddle "empty-page-in-the-middle" "The second page is empty, though it has a marker where users are left.",
    EndlessEmptyPages "endless-empty-pages" "From the second page on all pages are empty, each with a new marker.",
    EndlessMarkers "endless-markers" "After the last user the walk starts anew, with markers never seen before.",
    RepeatedMarker "repeated-marker" "Every page's next_marker is the marker it was asked with.",
    MarkerRejected "marker-refused" "Every marker is answered with 400: it has expired.",
    IgnoresUsemarker "ignores-usemarker" "Answers as if usemarker were unknown: an offset page with total_count.",
    EntriesMissing "entries-missing" "A page without entries.",
    DuplicateAcrossPages "duplicate-across-pages" "Each page ends with the next page's first user under an old name; the later copy is the true one.",
    EmptyList "empty-list" "A complete answer without a single user.",
    ShuffledOrder "shuffled-order" "Users do not arrive in the order of their ids.",
    // Bodies
    HtmlInsteadOfJson "html-instead-of-json" "A maintenance page with status 200.",
    TruncatedJson "truncated-json" "The body ends in the middle, though the length is right.",
    HugeBody "huge-body" "256 MiB of white space in front of the page.",
    SlowBody "slow-body" "The body drips: 16 bytes a second.",
    ResetMidBody "reset-mid-body" "The connection breaks in the middle of the body.",
    ClosesConnection "hangs-up" "The connection closes without an answer (in process: the body fails at once).",
    NeverResponds "never-answers" "The connection stays open, nothing comes.",
    // Users
    NotificationEmailArray "notification-email-array" "notification_email is [] for everybody.",
    NumericIds "numeric-ids" "id is a number.",
    NumericPhones "numeric-phones" "phone is a number for everybody.",
    UnknownStatus "unknown-status" "Users whose id ends in 0 have a status nobody has heard of.",
    UnknownRole "unknown-role" "Users whose id ends in 0 have a role nobody has heard of.",
    UnknownFields "unknown-fields" "Every user has fields that were not asked for.",
    // The account
    OtherEnterprise "other-enterprise" "/users/me says that the credentials belong to enterprise 999999.",
    NoEnterprise "no-enterprise" "/users/me has enterprise null.",
    // API errors
    Unauthorized "unauthorized" "401 to every API call, with fresh tokens too.",
    InsufficientScope "insufficient-scope" "Listing users: 403 insufficient_scope.",
    AccessDeniedInsufficientPermissions "access-denied-insufficient-permissions" "Listing users: 403 access_denied_insufficient_permissions.",
    LocationBlocked "location-blocked" "Every API call: 403 access_from_location_blocked.",
    ForbiddenByPolicy "forbidden-by-policy" "Every API call: 403 forbidden_by_policy.",
    ForbiddenUnknownCode "forbidden-for-another-reason" "Listing users: 403 with a code that is in no list.",
    BadRequest "bad-request" "Listing users: 400 bad_request.",
    NotFound "not-found" "Listing users: 404 not_found.",
    RateLimited "rate-limited" "Every API call: 429, retry after 30 s.",
    RateLimitedOneHour "rate-limited-for-long" "Every API call: 429, retry after an hour.",
    RateLimitedWithoutRetryAfter "rate-limited-without-retry-after" "Every API call: 429 without retry-after.",
    RateLimitedInvalidRetryAfter "rate-limited-with-nonsense" "Every API call: 429 whose retry-after is no number.",
    InternalError "internal-error" "Every call: 500.",
    BadGateway "bad-gateway" "Every call: 502 with an HTML body, from a proxy on the way.",
    Unavailable "unavailable" "Every call: 503.",
    UnavailableWithRetryAfter "unavailable-with-retry-after" "Every call: 503, retry after 20 s.",
    Accepted "accepted" "Every API call: 202, retry after 5 s, no body.",
    Redirects "redirects" "Every call: 302 to another path.",
    ErrorsWithoutBody "errors-without-body" "API errors have no body, only status and headers.",
    OauthErrorsFromApi "oauth-errors-from-api" "API errors have the token endpoint's shape.",
    // Tokens
    AppNotAuthorized "app-not-authorized" "Token: unauthorized_client, as without an admin's authorization.",
    InvalidClient "client-refused" "Token: invalid_client.",
    InvalidGrant "grant-refused" "Token: invalid_grant \"Grant credentials are invalid\".",
    InvalidGrantUnknownDescription "grant-refused-oddly" "Token: invalid_grant with words that are in no list.",
    InvalidKid "kid-refused" "Token: invalid_grant about the kid: the key pair was replaced.",
    InvalidSub "sub-refused" "Token: invalid_grant about the sub claim.",
    UnauthorizedGrantType "grant-type-refused" "Token: invalid_request, the app is of another type.",
    JtiAlwaysRejected "jti-always-refused" "Token: invalid_grant about the jti claim, whatever it is.",
    ExpAlwaysRejected "exp-always-refused" "Token: invalid_grant about the exp claim, whatever it is.",
    RefreshTokenExpired "refresh-token-expired" "Token: invalid_grant \"Refresh token has expired\".",
    RefreshTokenInvalid "refresh-token-invalid" "Token: invalid_grant \"Invalid refresh token\".",
    LenientRefresh "lenient-refresh" "A spent refresh token stays usable until the access token that it was worth is first used.",
    ClockAhead "clock-ahead" "Box's clock is ten minutes ahead; the Date header says so.",
    ClockBehind "clock-behind" "Box's clock is ten minutes behind; the Date header says so.",
    ShortLivedTokens "short-lived-tokens" "Tokens live for 90 s.",
    TokenExpiresMidListing "token-expires-mid-walk" "A token is good for two pages, then it is answered with 401.",
}

/// The members have to fit into the bits of the set.
const _: () = assert!(Behaviour::ALL.len() <= 128);

impl Behaviour {
    /// Behaviours that are one answer to every call of an endpoint; the others are read where the true answer is made.
    pub(crate) fn scripted_response(self) -> Option<(EndpointFilter, ScriptedResponse)> {
        let limited = |retry_after: Option<&str>| {
            (EndpointFilter::Api, ScriptedResponse::RateLimited { retry_after: retry_after.map(str::to_owned) })
        };
        let forbidden = |on, code: &str| (on, ScriptedResponse::Forbidden { code: code.to_owned() });
        let error = |status, code: &str, message: &str| {
            (
                EndpointFilter::Users,
                ScriptedResponse::Error { status, code: code.to_owned(), message: message.to_owned() },
            )
        };
        let token = |error: why::TokenError| {
            (
                EndpointFilter::Token,
                ScriptedResponse::TokenError {
                    error: error.error.to_owned(),
                    description: error.description.to_owned(),
                },
            )
        };
        Some(match self {
            Self::HtmlInsteadOfJson => (EndpointFilter::Users, ScriptedResponse::Html { status: 200 }),
            Self::TruncatedJson => (EndpointFilter::Users, ScriptedResponse::Truncated),
            Self::HugeBody => (EndpointFilter::Users, ScriptedResponse::HugeBody),
            Self::SlowBody => (EndpointFilter::Users, ScriptedResponse::SlowBody),
            Self::ResetMidBody => (EndpointFilter::Users, ScriptedResponse::ResetMidBody),
            Self::ClosesConnection => (EndpointFilter::Any, ScriptedResponse::CloseConnection),
            Self::NeverResponds => (EndpointFilter::Any, ScriptedResponse::NeverRespond),
            Self::Unauthorized => (EndpointFilter::Api, ScriptedResponse::Unauthorized),
            Self::InsufficientScope => forbidden(EndpointFilter::Users, "insufficient_scope"),
            Self::AccessDeniedInsufficientPermissions => {
                forbidden(EndpointFilter::Users, "access_denied_insufficient_permissions")
            }
            Self::LocationBlocked => forbidden(EndpointFilter::Api, "access_from_location_blocked"),
            Self::ForbiddenByPolicy => forbidden(EndpointFilter::Api, "forbidden_by_policy"),
            Self::ForbiddenUnknownCode => forbidden(EndpointFilter::Users, "terms_of_service_required"),
            Self::BadRequest => error(400, "bad_request", "Bad Request"),
            Self::NotFound => error(404, "not_found", "Not Found"),
            Self::RateLimited => limited(Some("30")),
            Self::RateLimitedOneHour => limited(Some("3600")),
            Self::RateLimitedWithoutRetryAfter => limited(None),
            Self::RateLimitedInvalidRetryAfter => limited(Some("soon")),
            Self::InternalError => (EndpointFilter::Any, ScriptedResponse::InternalError),
            Self::BadGateway => (EndpointFilter::Any, ScriptedResponse::Html { status: 502 }),
            Self::Unavailable => (EndpointFilter::Any, ScriptedResponse::Unavailable { retry_after: None }),
            Self::UnavailableWithRetryAfter => {
                (EndpointFilter::Any, ScriptedResponse::Unavailable { retry_after: Some("20".to_owned()) })
            }
            Self::Accepted => (EndpointFilter::Api, ScriptedResponse::Accepted { retry_after: Some("5".to_owned()) }),
            Self::Redirects => (EndpointFilter::Any, ScriptedResponse::Redirect),
            Self::AppNotAuthorized => token(why::NOT_AUTHORIZED),
            Self::InvalidClient => token(why::INVALID_CLIENT),
            Self::InvalidGrant => token(why::INVALID_GRANT),
            Self::InvalidGrantUnknownDescription => token(why::ENTERPRISE_MIGRATING),
            Self::InvalidKid => token(why::INVALID_KID),
            Self::InvalidSub => token(why::INVALID_SUB),
            Self::UnauthorizedGrantType => token(why::UNAUTHORIZED_GRANT_TYPE),
            Self::JtiAlwaysRejected => token(why::REUSED_JTI),
            Self::ExpAlwaysRejected => token(why::EXP_PAST),
            Self::RefreshTokenExpired => token(why::REFRESH_TOKEN_EXPIRED),
            Self::RefreshTokenInvalid => token(why::REFRESH_TOKEN_INVALID),
            Self::NextMarkerEmptyString
            | Self::NextMarkerMissing
            | Self::ShortPages
            | Self::EmptyPageInTheMiddle
            | Self::EndlessEmptyPages
            | Self::EndlessMarkers
            | Self::RepeatedMarker
            | Self::MarkerRejected
            | Self::IgnoresUsemarker
            | Self::EntriesMissing
            | Self::DuplicateAcrossPages
            | Self::EmptyList
            | Self::ShuffledOrder
            | Self::NotificationEmailArray
            | Self::NumericIds
            | Self::NumericPhones
            | Self::UnknownStatus
            | Self::UnknownRole
            | Self::UnknownFields
            | Self::OtherEnterprise
            | Self::NoEnterprise
            | Self::ErrorsWithoutBody
            | Self::OauthErrorsFromApi
            | Self::LenientRefresh
            | Self::ClockAhead
            | Self::ClockBehind
            | Self::ShortLivedTokens
            | Self::TokenExpiresMidListing => return None,
        })
    }
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word is the name of no behaviour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownBehaviour(pub String);

impl fmt::Display for UnknownBehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no behaviour is called {:?}", self.0)
    }
}

impl std::error::Error for UnknownBehaviour {}

impl FromStr for Behaviour {
    type Err = UnknownBehaviour;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|behaviour| behaviour.as_str() == word)
            .ok_or_else(|| UnknownBehaviour(word.to_owned()))
    }
}

/// The behaviours that are switched on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BehaviourSet(u128);

impl BehaviourSet {
    pub(crate) const fn contains(self, behaviour: Behaviour) -> bool {
        self.0 & (1 << behaviour as u32) != 0
    }

    pub(crate) const fn insert(&mut self, behaviour: Behaviour) {
        self.0 |= 1 << behaviour as u32;
    }

    pub(crate) const fn remove(&mut self, behaviour: Behaviour) {
        self.0 &= !(1 << behaviour as u32);
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Behaviour> {
        Behaviour::ALL.iter().copied().filter(move |behaviour| self.contains(*behaviour))
    }

    /// Only those that change how a user is written or where: what a rendered list depends on.
    pub(crate) fn affecting_user_json(self) -> Self {
        use Behaviour::{
            NotificationEmailArray, NumericIds, NumericPhones, ShuffledOrder, UnknownFields, UnknownRole, UnknownStatus,
        };
        let mut subset = Self::default();
        for behaviour in [
            NotificationEmailArray,
            NumericIds,
            NumericPhones,
            ShuffledOrder,
            UnknownFields,
            UnknownRole,
            UnknownStatus,
        ] {
            if self.contains(behaviour) {
                subset.insert(behaviour);
            }
        }
        subset
    }
}
