//! Who requested a sync, from an annotation that anyone can write. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::{api::REQUESTED_BY_ANNOTATION, text::clamp_text};

/// Bounds on names and their length: what anyone can write must not fill a status or a roster.
pub(crate) const MAX_REQUESTERS: usize = 5;
const MAX_NAME_CHARS: usize = 256;

/// The requesters of these objects, each once, in order.
pub(crate) fn requesters<'a>(objects: impl Iterator<Item = &'a ObjectMeta>) -> Vec<String> {
    let mut requesters = Vec::new();
    let claims = objects.filter_map(|object| object.annotations.as_ref()?.get(REQUESTED_BY_ANNOTATION));
    for name in claims.map(|claim| clamp_text(claim.trim(), MAX_NAME_CHARS)).filter(|name| !name.is_empty()) {
        if requesters.len() < MAX_REQUESTERS && !requesters.contains(&name) {
            requesters.push(name);
        }
    }
    requesters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requesters_of(claims: &[&str]) -> Vec<String> {
        let object = |claim: &&str| ObjectMeta {
            annotations: Some([(REQUESTED_BY_ANNOTATION.to_owned(), (*claim).to_owned())].into()),
            ..ObjectMeta::default()
        };
        let objects: Vec<ObjectMeta> = claims.iter().map(object).chain([ObjectMeta::default()]).collect();
        requesters(objects.iter())
    }

    #[test]
    fn each_requester_is_listed_once() {
        let account = "system:serviceaccount:flux-system:kustomize-controller";
        assert_eq!(requesters_of(&["jane@acme.example", account, "jane@acme.example"]), ["jane@acme.example", account]);
        assert!(requesters_of(&[]).is_empty() && requesters_of(&["", " \n"]).is_empty());
    }

    #[test]
    fn a_requester_name_is_printable_and_bounded() {
        assert_eq!(requesters_of(&["\u{1b}[2Jjane\r\nrevision 9\u{7f}"]), ["�[2Jjane��revision 9�"]);
        let long = requesters_of(&[&"ü".repeat(100_000)]);
        assert_eq!(long, [format!("{}…", "ü".repeat(MAX_NAME_CHARS))]);
        assert_eq!(requesters_of(&[&"j".repeat(MAX_NAME_CHARS)]), ["j".repeat(MAX_NAME_CHARS)]);
        assert_eq!(requesters_of(&["a", "b", "c", "d", "e", "f"]), ["a", "b", "c", "d", "e"]);
    }
}
