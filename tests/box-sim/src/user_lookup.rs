//! GET /2.0/users/{id}: one user.

use crate::{
    fields::{EnterpriseValue, FieldSet, UserWriter},
    request::BoxRequest,
    response::BoxResponse,
    state::EnterpriseState,
};
use http::StatusCode;

/// `None`: Box knows no such user.
pub(crate) fn handle_get_user(request: &BoxRequest, state: &EnterpriseState) -> Option<BoxResponse> {
    let id = request.path.strip_prefix("/2.0/users/")?.parse().ok()?;
    let (user, enterprise) = match (state.users.get(id), state.former_users.get(&id)) {
        (Some(user), _) => (user, EnterpriseValue::Present { id: &state.id, name: &state.name }),
        (None, Some(former)) => {
            let enterprise = match &former.enterprise_id {
                Some(id) => EnterpriseValue::Present { id, name: "Somebody Else" },
                None => EnterpriseValue::Null,
            };
            (former.user.clone(), enterprise)
        }
        (None, None) => return None,
    };
    let fields = FieldSet::from_query(request.query_param("fields"));
    let writer = UserWriter { fields, behaviours: state.behaviours, enterprise };
    let mut body = Vec::new();
    writer.write_user(&user, &mut body);
    Some(BoxResponse::new(StatusCode::OK, "application/json", body))
}
