//! Errors of the token endpoint, with Box's messages.

/// `{error, error_description}`, always with status 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenError {
    pub(crate) error: &'static str,
    pub(crate) description: &'static str,
}

const fn token_error(error: &'static str, description: &'static str) -> TokenError {
    TokenError { error, description }
}

const fn invalid_grant(description: &'static str) -> TokenError {
    token_error("invalid_grant", description)
}

pub(crate) const NOT_AUTHORIZED: TokenError =
    token_error("unauthorized_client", "This app is not authorized by the enterprise admin");
pub(crate) const INVALID_CLIENT: TokenError = token_error("invalid_client", "The client credentials are invalid");
pub(crate) const UNAUTHORIZED_GRANT_TYPE: TokenError =
    token_error("invalid_request", "The grant type is unauthorized for this client_id");
pub(crate) const UNSUPPORTED_GRANT_TYPE: TokenError =
    token_error("unsupported_grant_type", "Invalid grant_type parameter or parameter missing");
pub(crate) const MISSING_PARAMETER: TokenError =
    token_error("invalid_request", "A required parameter is missing or the body is not a form");

pub(crate) const USER_SUBJECT_UNAUTHORIZED: TokenError =
    token_error("unauthorized_client", "The box_subject_type value is unauthorized for this client_id");
pub(crate) const USER_TOKENS_OFF: TokenError =
    token_error("invalid_request", "Cannot obtain user token based on the enterprise configuration for your app");

pub(crate) const INVALID_GRANT: TokenError = invalid_grant("Grant credentials are invalid");
pub(crate) const ENTERPRISE_MIGRATING: TokenError = invalid_grant("The enterprise is being migrated to another region");
pub(crate) const REFRESH_TOKEN_EXPIRED: TokenError = invalid_grant("Refresh token has expired");
pub(crate) const CODE_INVALID: TokenError = invalid_grant("Auth code doesn't exist or is invalid for the client");
pub(crate) const CODE_EXPIRED: TokenError = invalid_grant("The authorization code has expired");
pub(crate) const REDIRECT_URI_MISMATCH: TokenError =
    invalid_grant("The redirect_uri does not match the one of the authorization request");
pub(crate) const CODE_VERIFIER_MISMATCH: TokenError =
    invalid_grant("The code_verifier does not match the code_challenge");
pub(crate) const REFRESH_TOKEN_INVALID: TokenError = invalid_grant("Invalid refresh token");

pub(crate) const MALFORMED_ASSERTION: TokenError =
    invalid_grant("Please check the 'assertion'. It is not a signed JWT");
pub(crate) const INVALID_ALG: TokenError =
    invalid_grant("Please check the 'alg' header. The 'alg' specified is invalid.");
pub(crate) const INVALID_KID: TokenError =
    invalid_grant("Please check the 'kid' header. The 'kid' specified is invalid.");
pub(crate) const INVALID_SIGNATURE: TokenError = invalid_grant("OAuth JWT signature verification failed");
pub(crate) const INVALID_ISS: TokenError =
    invalid_grant("Please check the 'iss' claim. The 'iss' specified is invalid.");
pub(crate) const INVALID_AUD: TokenError =
    invalid_grant("Please check the 'aud' claim. The 'aud' specified is invalid.");
pub(crate) const INVALID_SUB_TYPE: TokenError =
    invalid_grant("Please check the 'box_sub_type' claim. The 'box_sub_type' specified is invalid.");
pub(crate) const INVALID_SUB: TokenError =
    invalid_grant("Please check the 'sub' claim. The 'sub' specified is invalid.");
pub(crate) const INVALID_JTI_LENGTH: TokenError =
    invalid_grant("Please check the 'jti' claim. The 'jti' must be between 16 and 128 characters.");
pub(crate) const REUSED_JTI: TokenError =
    invalid_grant("Please check the 'jti' claim. A unique 'jti' value is required.");
pub(crate) const EXP_NOT_INTEGER: TokenError = invalid_grant("Please check the 'exp' claim. Should be an integer");
pub(crate) const EXP_PAST: TokenError =
    invalid_grant("Current date/time MUST be before the expiration date/time listed in the 'exp' claim");
pub(crate) const EXP_TOO_FAR: TokenError = invalid_grant(
    "Please check the 'exp' claim. The 'exp' value exceeds the maximum value of 60 seconds beyond the issue time.",
);
