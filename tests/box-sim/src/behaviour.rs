//! Known or permitted behaviours of Box, each with a name, enabled per enterprise.

use crate::{
    scripted_responses::{EndpointFilter, ScriptedResponse},
    token_error,
};
use std::{fmt, str::FromStr};

macro_rules! behaviours {
    ($($name:ident $name_text:literal $description:literal),* $(,)?) => {
        /// A named behaviour of Box, enabled per enterprise.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Behaviour { $(#[doc = $description] $name),* }

        impl Behaviour {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $name_text),* }
            }

            /// What Box does, in one line.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$name => $description),* }
            }
        }
    };
}

behaviours! {
    // Paging
    NextMarkerEmptyString "next-marker-empty-string" "The last page's next_marker is \"\" instead of null.",
    NextMarkerMissing "next-marker-missing" "The last page has no next_marker at all.",
    ShortPages "short-pages" "Every page holds a third of the requested number.",
    EmptyPageInTheMiddle "empty-page-in-the-middle" "The second page is empty but has a next_marker.",
    EndlessEmptyPages "endless-empty-pages" "All pages after the first are empty, each with a new marker.",
    EndlessMarkers "endless-markers" "After the last user the listing starts over, with new markers.",
    RepeatedMarker "repeated-marker" "Every page's next_marker is the requested marker.",
    MarkerRejected "marker-rejected" "Every marker is answered with 400: it has expired.",
    IgnoresUsemarker "ignores-usemarker" "Answers as if usemarker were unknown: an offset page with total_count.",
    EntriesMissing "entries-missing" "The page has no entries field.",
    DuplicateAcrossPages "duplicate-across-pages" "Each page ends with the next page's first user under an old name; the later copy is current.",
    EmptyList "empty-list" "A complete response without users.",
    WalkEndsEarly "walk-ends-early" "The listing ends after 85 % of the users, with next_marker null.",
    OneWalkEndsEarly "one-walk-ends-early" "The same, but only for one listing.",
    TwiceAndNever "twice-and-never" "The listing contains some users twice, and as many (at most 50) not at all.",
    StaleReplica "stale-replica" "Every twentieth user is missing in the listing.",
    ShuffledOrder "shuffled-order" "Users do not arrive in the order of their ids.",
    // Bodies
    HtmlInsteadOfJson "html-instead-of-json" "A maintenance page with status 200.",
    TruncatedJson "truncated-json" "The body ends in the middle, though the length is right.",
    HugeBody "huge-body" "256 MiB of white space in front of the page.",
    SlowBody "slow-body" "The body is sent at 16 bytes per second.",
    ResetMidBody "reset-mid-body" "The connection breaks in the middle of the body.",
    ClosesConnection "closes-connection" "The connection closes without a response (in process: the body fails immediately).",
    NeverResponds "never-responds" "The connection stays open without a response.",
    // Users
    NotificationEmailArray "notification-email-array" "notification_email is [] for everybody.",
    NumericIds "numeric-ids" "id is a number.",
    NumericPhones "numeric-phones" "phone is a number for everybody.",
    UnknownStatus "unknown-status" "Users whose id ends in 0 have an unknown status.",
    UnknownRole "unknown-role" "Users whose id ends in 0 have an unknown role.",
    UnknownFields "unknown-fields" "Every user has unrequested fields.",
    TrackingCodesNull "tracking-codes-null" "tracking_codes is null: the enterprise has them switched off.",
    TrackingCodesMissing "tracking-codes-missing" "There is no tracking_codes: the enterprise has them switched off.",
    TrackingCodesReversed "tracking-codes-reversed" "tracking_codes are in the opposite order.",
    TrackingCodesObject "tracking-codes-object" "tracking_codes is an object of names and values.",
    OddTrackingCodes "odd-tracking-codes" "tracking_codes also has entries of other types, without a name, with a name twice, and of 300 characters.",
    // The account
    OtherEnterprise "other-enterprise" "/users/me says that the credentials belong to enterprise 999999.",
    NoEnterprise "no-enterprise" "/users/me has enterprise null.",
    // One user
    LookupForbidden "lookup-forbidden" "Asked for one user: 403 access_denied_insufficient_permissions.",
    LookupUnavailable "lookup-unavailable" "Asked for one user: 503.",
    LookupOfProxy "lookup-of-proxy" "Asked for one user: 404 with an HTML page, as from a proxy.",
    // API errors
    Unauthorized "unauthorized" "401 to every API call, with fresh tokens too.",
    InsufficientScope "insufficient-scope" "Listing users: 403 insufficient_scope.",
    AccessDeniedInsufficientPermissions "access-denied-insufficient-permissions" "Listing users: 403 access_denied_insufficient_permissions.",
    LocationBlocked "location-blocked" "Every API call: 403 access_from_location_blocked.",
    ForbiddenByPolicy "forbidden-by-policy" "Every API call: 403 forbidden_by_policy.",
    ForbiddenUnknownCode "forbidden-unknown-code" "Listing users: 403 with an undocumented code.",
    BadRequest "bad-request" "Listing users: 400 bad_request.",
    NotFound "not-found" "Listing users: 404 not_found.",
    RateLimited "rate-limited" "Every API call: 429, retry after 30 s.",
    RateLimitedOneHour "rate-limited-one-hour" "Every API call: 429, retry after an hour.",
    RateLimitedWithoutRetryAfter "rate-limited-without-retry-after" "Every API call: 429 without retry-after.",
    RateLimitedInvalidRetryAfter "rate-limited-invalid-retry-after" "Every API call: 429 with a non-numeric retry-after.",
    InternalError "internal-error" "Every call: 500.",
    BadGateway "bad-gateway" "Every call: 502 with an HTML body, as from a proxy.",
    Unavailable "unavailable" "Every call: 503.",
    UnavailableWithRetryAfter "unavailable-with-retry-after" "Every call: 503, retry after 20 s.",
    Accepted "accepted" "Every API call: 202, retry after 5 s, no body.",
    Redirects "redirects" "Every call: 302 to another path.",
    ErrorsWithoutBody "errors-without-body" "API errors have no body, only status and headers.",
    OauthErrorsFromApi "oauth-errors-from-api" "API errors have the token endpoint's shape.",
    // Tokens
    AppNotAuthorized "app-not-authorized" "Token: unauthorized_client, as without an admin's authorization.",
    InvalidClient "invalid-client" "Token: invalid_client.",
    InvalidGrant "invalid-grant" "Token: invalid_grant \"Grant credentials are invalid\".",
    InvalidGrantUnknownDescription "invalid-grant-unknown-description" "Token: invalid_grant with an undocumented description.",
    InvalidKid "invalid-kid" "Token: invalid_grant about the kid: the key pair was replaced.",
    InvalidSub "invalid-sub" "Token: invalid_grant about the sub claim.",
    UnauthorizedGrantType "unauthorized-grant-type" "Token: invalid_request, the app is of another type.",
    JtiAlwaysRejected "jti-always-rejected" "Token: invalid_grant about the jti claim, whatever it is.",
    ExpAlwaysRejected "exp-always-rejected" "Token: invalid_grant about the exp claim, whatever it is.",
    RefreshTokenExpired "refresh-token-expired" "Token: invalid_grant \"Refresh token has expired\".",
    RefreshTokenInvalid "refresh-token-invalid" "Token: invalid_grant \"Invalid refresh token\".",
    LenientRefresh "lenient-refresh" "A spent refresh token stays usable until the access token issued for it is first used.",
    ClockAhead "clock-ahead" "Box's clock is ten minutes ahead; the Date header says so.",
    ClockBehind "clock-behind" "Box's clock is ten minutes behind; the Date header says so.",
    ShortLivedTokens "short-lived-tokens" "Tokens live for 90 s.",
    TokenExpiresMidListing "token-expires-mid-listing" "A token is valid for two pages, then returns 401.",
}

/// All behaviours must fit into the bits of the set.
const _: () = assert!(Behaviour::ALL.len() <= 128);

impl Behaviour {
    /// The fixed response of a behaviour that replaces every response of an endpoint. Other behaviours change the regular response.
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
        let token = |error: token_error::TokenError| {
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
            Self::LookupForbidden => forbidden(EndpointFilter::User, "access_denied_insufficient_permissions"),
            Self::LookupUnavailable => (EndpointFilter::User, ScriptedResponse::Unavailable { retry_after: None }),
            Self::LookupOfProxy => (EndpointFilter::User, ScriptedResponse::Html { status: 404 }),
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
            Self::AppNotAuthorized => token(token_error::NOT_AUTHORIZED),
            Self::InvalidClient => token(token_error::INVALID_CLIENT),
            Self::InvalidGrant => token(token_error::INVALID_GRANT),
            Self::InvalidGrantUnknownDescription => token(token_error::ENTERPRISE_MIGRATING),
            Self::InvalidKid => token(token_error::INVALID_KID),
            Self::InvalidSub => token(token_error::INVALID_SUB),
            Self::UnauthorizedGrantType => token(token_error::UNAUTHORIZED_GRANT_TYPE),
            Self::JtiAlwaysRejected => token(token_error::REUSED_JTI),
            Self::ExpAlwaysRejected => token(token_error::EXP_PAST),
            Self::RefreshTokenExpired => token(token_error::REFRESH_TOKEN_EXPIRED),
            Self::RefreshTokenInvalid => token(token_error::REFRESH_TOKEN_INVALID),
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
            | Self::WalkEndsEarly
            | Self::OneWalkEndsEarly
            | Self::TwiceAndNever
            | Self::StaleReplica
            | Self::ShuffledOrder
            | Self::NotificationEmailArray
            | Self::NumericIds
            | Self::NumericPhones
            | Self::UnknownStatus
            | Self::UnknownRole
            | Self::UnknownFields
            | Self::TrackingCodesNull
            | Self::TrackingCodesMissing
            | Self::TrackingCodesReversed
            | Self::TrackingCodesObject
            | Self::OddTrackingCodes
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

/// There is no behaviour of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownBehaviour(pub String);

impl fmt::Display for UnknownBehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown behaviour {:?}", self.0)
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

/// The enabled behaviours.
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

    /// Only those that change the JSON, the order or the choice of users: the part of the cache key of rendered lists.
    pub(crate) fn affecting_user_json(self) -> Self {
        use Behaviour::{
            NotificationEmailArray, NumericIds, NumericPhones, OddTrackingCodes, ShuffledOrder, StaleReplica,
            TrackingCodesMissing, TrackingCodesNull, TrackingCodesObject, TrackingCodesReversed, UnknownFields,
            UnknownRole, UnknownStatus,
        };
        let mut subset = Self::default();
        for behaviour in [
            NotificationEmailArray,
            NumericIds,
            NumericPhones,
            OddTrackingCodes,
            ShuffledOrder,
            StaleReplica,
            TrackingCodesMissing,
            TrackingCodesNull,
            TrackingCodesObject,
            TrackingCodesReversed,
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
