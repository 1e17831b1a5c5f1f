//! Logins that somebody may have meant. Pure.

const MAX_SUGGESTIONS: usize = 3;

/// Logins at a small edit distance, or with the same local part.
pub(crate) fn similar_logins<'a>(wanted: &str, logins: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = wanted.to_lowercase();
    let max_distance = (wanted.chars().count() / 6).max(2);
    let local_part = wanted.split('@').next().filter(|part| part.len() > 2);
    let distance = |login: &str| {
        let login = login.to_lowercase();
        // The company may use several domains.
        if local_part.is_some() && login.split('@').next() == local_part {
            return Some(1);
        }
        let close = login.len().abs_diff(wanted.len()) <= max_distance;
        close.then(|| strsim::osa_distance(&login, &wanted)).filter(|distance| *distance <= max_distance)
    };
    let mut candidates: Vec<(usize, &str)> = logins.filter_map(|login| Some((distance(login)?, login))).collect();
    candidates.sort_unstable();
    candidates.into_iter().take(MAX_SUGGESTIONS).map(|(_, login)| login).collect()
}
