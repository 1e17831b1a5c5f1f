//! Why the token endpoint refuses, in Box's own words.

/// `{error, error_description}`, always with status 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) error: &'static str,
    pub(crate) description: &'static str,
}

const fn refusal(error: &'static str, description: &'static str) -> Refusal {
    Refusal { error, description }
}

const fn grant(description: &'static str) -> Refusal {
    refusal("invalid_grant", description)
}

pub(crate) const NOT_AUTHORIZED: Refusal =
    refusal("unauthorized_client", "This app is not authorized by the enterprise admin");
pub(crate) const CLIENT: Refusal = refusal("invalid_client", "The client credentials are invalid");
pub(crate) const GRANT_TYPE: Refusal = refusal("invalid_request", "The grant type is unauthorized for this client_id");
pub(crate) const GRANT_TYPE_UNKNOWN: Refusal =
    refusal("unsupported_grant_type", "Invalid grant_type parameter or parameter missing");
pub(crate) const INCOMPLETE: Refusal =
    refusal("invalid_request", "A required parameter is missing or the body is not a form");

pub(crate) const GRANT: Refusal = grant("Grant credentials are invalid");
pub(crate) const ODD: Refusal = grant("The enterprise is being migrated to another region");
pub(crate) const REFRESH_EXPIRED: Refusal = grant("Refresh token has expired");
pub(crate) const CODE_INVALID: Refusal = grant("Auth code doesn't exist or is invalid for the client");
pub(crate) const CODE_EXPIRED: Refusal = grant("The authorization code has expired");
pub(crate) const CODE_REDIRECT: Refusal = grant("The redirect_uri does not match the one of the authorization request");
pub(crate) const CODE_VERIFIER: Refusal = grant("The code_verifier does not match the code_challenge");
pub(crate) const REFRESH_INVALID: Refusal = grant("Invalid refresh token");

pub(crate) const ASSERTION: Refusal = grant("Please check the 'assertion'. It is not a signed JWT");
pub(crate) const ALG: Refusal = grant("Please check the 'alg' header. The 'alg' specified is invalid.");
pub(crate) const KID: Refusal = grant("Please check the 'kid' header. The 'kid' specified is invalid.");
pub(crate) const SIGNATURE: Refusal = grant("OAuth JWT signature verification failed");
pub(crate) const ISS: Refusal = grant("Please check the 'iss' claim. The 'iss' specified is invalid.");
pub(crate) const AUD: Refusal = grant("Please check the 'aud' claim. The 'aud' specified is invalid.");
pub(crate) const SUB_TYPE: Refusal =
    grant("Please check the 'box_sub_type' claim. The 'box_sub_type' specified is invalid.");
pub(crate) const SUB: Refusal = grant("Please check the 'sub' claim. The 'sub' specified is invalid.");
pub(crate) const JTI_LENGTH: Refusal =
    grant("Please check the 'jti' claim. The 'jti' must be between 16 and 128 characters.");
pub(crate) const JTI: Refusal = grant("Please check the 'jti' claim. A unique 'jti' value is required.");
pub(crate) const EXP_SHAPE: Refusal = grant("Please check the 'exp' claim. Should be an integer");
pub(crate) const EXP_PAST: Refusal =
    grant("Current date/time MUST be before the expiration date/time listed in the 'exp' claim");
pub(crate) const EXP_FAR: Refusal = grant(
    "Please check the 'exp' claim. The 'exp' value exceeds the maximum value of 60 seconds beyond the issue time.",
);
