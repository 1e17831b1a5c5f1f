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

/// A row of the table: an error code, and words that the message must contain (in this order, as whole words). The first
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
    ErrorRule(Token, "unauthorized_client", "for this client_id", rejected(GrantTypeNotAllowed)),
    ErrorRule(Token, "unauthorized_client", "", Denied(AppNotAuthorized)),
    ErrorRule(Token, "invalid_client", "", rejected(InvalidClient)),
    ErrorRule(Token, "invalid_request", "grant type is unauthorized", rejected(GrantTypeNotAllowed)),
    ErrorRule(Token, "unsupported_grant_type", "", rejected(GrantTypeNotAllowed)),
    ErrorRule(Token, "access_from_location_blocked", "", Denied(AccessBlocked)),
    ErrorRule(Token, "forbidden_by_policy", "", Denied(AccessBlocked)),
    ErrorRule(Api, "access_from_location_blocked", "", Denied(AccessBlocked)),
    ErrorRule(Api, "forbidden_by_policy", "", Denied(AccessBlocked)),
    ErrorRule(Api, "insufficient_scope", "", Denied(PermissionDenied)),
    ErrorRule(Api, "access_denied_insufficient_permissions", "", Denied(PermissionDenied)),
];

/// `body` is `None` if it was not JSON: then the response may come from a proxy.
pub(super) fn classify_response(kind: EndpointKind, status: StatusCode, body: Option<&ErrorBody>) -> ResponseClass {
    match (kind, status.as_u16()) {
        (_, 200) => Success,
        (_, 429) => RateLimited,
        (_, 202 | 500..) => Unavailable,
        (_, 300..=399) => Redirect,
        // The status is sufficient, and Box does not always send a body.
        (Api, 401) => Denied(AuthorizationExpired),
        (Api, 403) => match body {
            Some(body) => match_error_rule(kind, body).unwrap_or(Denied(PermissionDenied)),
            None => Unexpected,
        },
        (Token, 400 | 401 | 403) => body.and_then(|body| match_error_rule(kind, body)).unwrap_or(Unexpected),
        (Api | Token, _) => Unexpected,
    }
}

fn match_error_rule(kind: EndpointKind, body: &ErrorBody) -> Option<ResponseClass> {
    let text = normalize_words(body.message().unwrap_or_default());
    ERROR_RULES
        .iter()
        .find(|ErrorRule(rule_kind, code, phrase, _)| {
            *rule_kind == kind && body.code() == Some(*code) && text.contains(&normalize_words(phrase))
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
                rejected(GrantTypeNotAllowed),
            ),
            (Token, 400, "invalid_client", "The client credentials are invalid", rejected(InvalidClient)),
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
            (Token, 400, "invalid_request", "Something else", Unexpected),
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
            assert_eq!(classify_response(kind, status, Some(&error_body)), expected, "{kind:?} {status} {code} {text}");
        }
    }

    #[test]
    fn a_403_that_is_not_json_does_not_come_from_box() {
        assert_eq!(classify_response(Api, StatusCode::FORBIDDEN, None), Unexpected);
        assert_eq!(classify_response(Token, StatusCode::BAD_REQUEST, None), Unexpected);
        assert_eq!(classify_response(Api, StatusCode::UNAUTHORIZED, None), Denied(AuthorizationExpired));
    }
}
