//! Classification of Box's responses: the table of its errors.

use http::StatusCode;

use self::EndpointKind::{Api, Token};
use self::ResponseClass::{ClockSkew, Denied, RateLimited, Redirect, Success, Unavailable, Unexpected};
use super::{
    error::{
        CredentialRejection::{
            self, GrantCredentialsInvalid, GrantTypeNotAllowed, InvalidClient, InvalidCode, InvalidSubject, Unknown,
            UnknownKeyId,
        },
        Denial::{self, AccessBlocked, AppNotAuthorized, AuthorizationExpired, CredentialsRejected, PermissionDenied},
    },
    error_body::ErrorBody,
};

/// The token endpoint or the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndpointKind {
    Token,
    Api,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponseClass {
    /// 200.
    Success,
    Denied(Denial),
    /// The time or the id of the assertion was rejected.
    ClockSkew,
    RateLimited,
    Unavailable,
    Redirect,
    /// Any other status; the body is not used.
    Unexpected,
}

/// A row of the table: an error code (empty: any), and words that the message must contain (in this order, as whole words). The first
/// matching row counts.
struct ErrorRule(EndpointKind, &'static str, &'static str, ResponseClass);

const fn rejected(rejection: CredentialRejection) -> ResponseClass {
    Denied(CredentialsRejected(rejection))
}

/// Box's codes are ambiguous without their messages: `invalid_grant` alone has six meanings.
const ERROR_RULES: &[ErrorRule] = &[
    ErrorRule(Token, "invalid_grant", "refresh token", Denied(AuthorizationExpired)),
    ErrorRule(Token, "invalid_grant", "authorization code", rejected(InvalidCode)),
    ErrorRule(Token, "invalid_grant", "auth code", rejected(InvalidCode)),
    ErrorRule(Token, "invalid_grant", "grant credentials are invalid", rejected(GrantCredentialsInvalid)),
    ErrorRule(Token, "invalid_grant", "kid", rejected(UnknownKeyId)),
    ErrorRule(Token, "invalid_grant", "sub", rejected(InvalidSubject)),
    ErrorRule(Token, "invalid_grant", "exp", ClockSkew),
    ErrorRule(Token, "invalid_grant", "jti", ClockSkew),
    ErrorRule(Token, "invalid_grant", "", rejected(Unknown)),
    // The access level or the authorization by a Box admin is missing; rarely the app is of another type.
    ErrorRule(Token, "unauthorized_client", "box_subject_type", Denied(AppNotAuthorized)),
    ErrorRule(Token, "unauthorized_client", "for this client_id", rejected(GrantTypeNotAllowed)),
    ErrorRule(Token, "unauthorized_client", "", Denied(AppNotAuthorized)),
    ErrorRule(Token, "invalid_client", "", rejected(InvalidClient)),
    ErrorRule(Token, "invalid_request", "grant type is unauthorized", rejected(GrantTypeNotAllowed)),
    ErrorRule(Token, "invalid_request", "enterprise configuration", Denied(AppNotAuthorized)),
    ErrorRule(Token, "invalid_credentials", "refresh token", Denied(AuthorizationExpired)),
    ErrorRule(Token, "temporarily_unavailable", "", Unavailable),
    ErrorRule(Token, "unsupported_grant_type", "", rejected(GrantTypeNotAllowed)),
    ErrorRule(Token, "access_from_location_blocked", "", Denied(AccessBlocked)),
    ErrorRule(Token, "forbidden_by_policy", "", Denied(AccessBlocked)),
    // Whatever else it says: it is about the app or its credentials.
    ErrorRule(Token, "", "", rejected(Unknown)),
    ErrorRule(Api, "access_from_location_blocked", "", Denied(AccessBlocked)),
    ErrorRule(Api, "forbidden_by_policy", "", Denied(AccessBlocked)),
    ErrorRule(Api, "insufficient_scope", "", Denied(PermissionDenied)),
    ErrorRule(Api, "access_denied_insufficient_permissions", "", Denied(PermissionDenied)),
];

/// What a response says besides its status.
#[derive(Clone, Copy, Debug)]
pub(super) enum ErrorExplanation<'a> {
    /// In Box's words: the body, or the header `WWW-Authenticate`.
    Box(&'a ErrorBody),
    /// No body. Box does not always send one.
    None,
    /// A body that is not JSON: the response may come from a proxy.
    Foreign,
}

pub(super) fn classify_response(
    kind: EndpointKind,
    status: StatusCode,
    explanation: ErrorExplanation<'_>,
) -> ResponseClass {
    match (kind, status.as_u16()) {
        (_, 200) => Success,
        (_, 429) => RateLimited,
        (_, 202 | 500..) => Unavailable,
        (_, 300..=399) => Redirect,
        // The status is sufficient, and Box does not always send a body.
        (Api, 401) => Denied(AuthorizationExpired),
        (Api, 403) => match explanation {
            ErrorExplanation::Box(body) => match_error_rule(kind, body).unwrap_or(Denied(PermissionDenied)),
            ErrorExplanation::None => Denied(PermissionDenied),
            ErrorExplanation::Foreign => Unexpected,
        },
        (Token, 400 | 401 | 403) => match explanation {
            ErrorExplanation::Box(body) => match_error_rule(kind, body).unwrap_or(Unexpected),
            ErrorExplanation::None => rejected(Unknown),
            ErrorExplanation::Foreign => Unexpected,
        },
        (Api | Token, _) => Unexpected,
    }
}

/// Whether a 401 says that the authorization is gone, not only this token.
pub(super) fn ends_authorization(body: &ErrorBody) -> bool {
    let text = normalize_words(body.message().unwrap_or_default());
    let code_of_grant =
        matches!(body.code(), Some("invalid_grant" | "invalid_client" | "unauthorized_client" | "access_denied"));
    code_of_grant
        || ["grant", "grants", "revoked", "deactivated", "not authorized", "refresh token"]
            .iter()
            .any(|words| text.contains(&normalize_words(words)))
}

fn match_error_rule(kind: EndpointKind, body: &ErrorBody) -> Option<ResponseClass> {
    let text = normalize_words(body.message().unwrap_or_default());
    ERROR_RULES
        .iter()
        .find(|ErrorRule(rule_kind, code, phrase, _)| {
            let same_code = if code.is_empty() { body.code().is_some() } else { body.code() == Some(*code) };
            *rule_kind == kind && same_code && text.contains(&normalize_words(phrase))
        })
        .map(|ErrorRule(_, _, _, class)| *class)
}

/// Lower-case words between single spaces, with a space at both ends: so "exp" is found in "the 'exp' claim" and not in "has expired".
fn normalize_words(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    words.fold(String::from(" "), |line, word| line + word + " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_box_error_is_classified() {
        for (kind, status, code, text, expected) in [
            (Token, 400, "invalid_grant", "Refresh token has expired", Denied(AuthorizationExpired)),
            (Token, 400, "invalid_grant", "Invalid refresh token", Denied(AuthorizationExpired)),
            (
                Token,
                400,
                "unauthorized_client",
                "This app is not authorized by the enterprise. Ask an admin",
                Denied(AppNotAuthorized),
            ),
            (
                Token,
                403,
                "unauthorized_client",
                "Cannot obtain token based on the enterprise configuration for your app",
                Denied(AppNotAuthorized),
            ),
            (
                Token,
                400,
                "unauthorized_client",
                r#"The "box_subject_type" value is unauthorized for this client_id"#,
                Denied(AppNotAuthorized),
            ),
            (Token, 400, "invalid_client", "The client credentials are invalid", rejected(InvalidClient)),
            (
                Token,
                400,
                "invalid_request",
                "Cannot obtain user token based on the enterprise configuration for your app",
                Denied(AppNotAuthorized),
            ),
            (Token, 400, "invalid_credentials", "Invalid refresh token", Denied(AuthorizationExpired)),
            (Token, 400, "invalid_scope", r#"Unsupported "scope": all"#, rejected(Unknown)),
            (Token, 400, "server_error", "107", rejected(Unknown)),
            (Token, 403, "access_denied", "", rejected(Unknown)),
            (Token, 400, "temporarily_unavailable", "", Unavailable),
            (Token, 401, "invalid_client", "", rejected(InvalidClient)),
            (Token, 400, "invalid_grant", "Grant credentials are invalid", rejected(GrantCredentialsInvalid)),
            (Token, 400, "invalid_grant", "OAuth JWT 'kid' is not known", rejected(UnknownKeyId)),
            (
                Token,
                400,
                "invalid_grant",
                "Please check the 'sub' claim. The 'sub' specified is invalid.",
                rejected(InvalidSubject),
            ),
            (
                Token,
                400,
                "invalid_request",
                "The grant type is unauthorized for this client_id",
                rejected(GrantTypeNotAllowed),
            ),
            (Token, 400, "unsupported_grant_type", "", rejected(GrantTypeNotAllowed)),
            (Token, 400, "invalid_grant", "Please check the 'exp' claim.", ClockSkew),
            (Token, 400, "invalid_grant", "Please check the 'jti' claim. A unique value is required.", ClockSkew),
            (Token, 400, "invalid_grant", "The authorization code has expired", rejected(InvalidCode)),
            (
                Token,
                400,
                "invalid_grant",
                "Auth code doesn't exist or is invalid for the client",
                rejected(InvalidCode),
            ),
            (Token, 400, "invalid_grant", "The moon is full", rejected(Unknown)),
            (Token, 400, "invalid_grant", "Something expired in the subway", rejected(Unknown)),
            (Token, 400, "invalid_request", "Something else", rejected(Unknown)),
            (Token, 400, "", "", Unexpected),
            (Token, 403, "access_from_location_blocked", "", Denied(AccessBlocked)),
            (Token, 404, "invalid_client", "", Unexpected),
            (Token, 429, "", "", RateLimited),
            (Token, 500, "invalid_grant", "", Unavailable),
            (Api, 200, "", "", Success),
            (Api, 202, "", "", Unavailable),
            (Api, 204, "", "", Unexpected),
            (Api, 302, "", "", Redirect),
            (Api, 400, "bad_request", "", Unexpected),
            (Api, 401, "", "", Denied(AuthorizationExpired)),
            (Api, 403, "insufficient_scope", "", Denied(PermissionDenied)),
            (Api, 403, "access_denied_insufficient_permissions", "", Denied(PermissionDenied)),
            (Api, 403, "access_from_location_blocked", "", Denied(AccessBlocked)),
            (Api, 403, "forbidden_by_policy", "", Denied(AccessBlocked)),
            (Api, 403, "forbidden", "", Denied(PermissionDenied)),
            (Api, 404, "not_found", "", Unexpected),
            (Api, 429, "rate_limit_exceeded", "", RateLimited),
            (Api, 500, "", "", Unavailable),
            (Api, 503, "unavailable", "", Unavailable),
        ] {
            let body = serde_json::json!({ "error": code, "error_description": text }).to_string();
            let error_body = ErrorBody::parse(body.as_bytes(), &[]).expect("JSON");
            let status = StatusCode::from_u16(status).expect("a status");
            let class = classify_response(kind, status, ErrorExplanation::Box(&error_body));
            assert_eq!(class, expected, "{kind:?} {status} {code} {text}");
        }
    }

    #[test]
    fn a_body_that_is_not_json_does_not_come_from_box_and_none_may() {
        for (kind, status, foreign, bare) in [
            (Api, 401, Denied(AuthorizationExpired), Denied(AuthorizationExpired)),
            (Api, 403, Unexpected, Denied(PermissionDenied)),
            (Api, 404, Unexpected, Unexpected),
            (Api, 429, RateLimited, RateLimited),
            (Api, 503, Unavailable, Unavailable),
            (Token, 400, Unexpected, rejected(Unknown)),
            (Token, 401, Unexpected, rejected(Unknown)),
            (Token, 403, Unexpected, rejected(Unknown)),
            (Token, 404, Unexpected, Unexpected),
            (Token, 429, RateLimited, RateLimited),
            (Token, 502, Unavailable, Unavailable),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(classify_response(kind, status, ErrorExplanation::Foreign), foreign, "{kind:?} {status}");
            assert_eq!(classify_response(kind, status, ErrorExplanation::None), bare, "{kind:?} {status}");
        }
    }
}
