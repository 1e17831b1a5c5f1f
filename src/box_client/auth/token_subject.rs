//! For whom an app requests a token (Box: `box_subject_type` and `box_subject_id`, in assertions `box_sub_type` and `sub`).

/// For whom an app requests a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSubject {
    /// The app's service account, in the enterprise with this id.
    Enterprise(String),
    /// The user with this id. The app needs the right to "Generate user access tokens".
    User(String),
}

impl TokenSubject {
    /// Box's word for the type, and the id.
    pub(crate) fn type_and_id(&self) -> (&'static str, &str) {
        match self {
            Self::Enterprise(id) => ("enterprise", id),
            Self::User(id) => ("user", id),
        }
    }
}
