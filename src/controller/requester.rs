//! Who asked for a sync, as an annotation says that anybody may write. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::REQUESTED_BY;

/// So many are told, each at such length: what anybody may write must not fill a status or a roster.
pub(super) const MOST: usize = 5;
const LONGEST: usize = 256;

/// Those who asked by these objects, each once, in their order.
pub(super) fn requesters<'a>(objects: impl Iterator<Item = &'a ObjectMeta>) -> Vec<String> {
    let mut told = Vec::new();
    let claims = objects.filter_map(|object| object.annotations.as_ref()?.get(REQUESTED_BY));
    for name in claims.map(|claim| cleaned(claim)).filter(|name| !name.is_empty()) {
        if told.len() < MOST && !told.contains(&name) {
            told.push(name);
        }
    }
    told
}

fn cleaned(claim: &str) -> String {
    let mut left = claim.chars().filter(|c| !c.is_control());
    let mut name: String = left.by_ref().take(LONGEST).collect();
    if left.next().is_some() {
        name.push('…');
    }
    name.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(claims: &[&str]) -> Vec<String> {
        let object = |claim: &&str| ObjectMeta {
            annotations: Some([(REQUESTED_BY.to_owned(), (*claim).to_owned())].into()),
            ..ObjectMeta::default()
        };
        let objects: Vec<ObjectMeta> = claims.iter().map(object).chain([ObjectMeta::default()]).collect();
        requesters(objects.iter())
    }

    #[test]
    fn everybody_who_asked_is_told_once() {
        let account = "system:serviceaccount:flux-system:kustomize-controller";
        assert_eq!(told(&["jane@acme.example", account, "jane@acme.example"]), ["jane@acme.example", account]);
        assert!(told(&[]).is_empty() && told(&["", " \n"]).is_empty());
    }

    #[test]
    fn a_claim_can_neither_steer_a_terminal_nor_fill_the_status() {
        assert_eq!(told(&["\u{1b}[2Jjane\r\nrevision 9\u{7f}"]), ["[2Jjanerevision 9"]);
        let long = told(&[&"ü".repeat(100_000)]);
        assert_eq!(long, [format!("{}…", "ü".repeat(LONGEST))]);
        assert_eq!(told(&[&"j".repeat(LONGEST)]), ["j".repeat(LONGEST)]);
        assert_eq!(told(&["a", "b", "c", "d", "e", "f"]), ["a", "b", "c", "d", "e"]);
    }
}
