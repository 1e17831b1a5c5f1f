//! `status`: who looks after the connections, and how they are.

use super::{
    desk::Desk,
    exit::{Exit, Stop},
    flags::{StatusFlags, StatusOutput},
    leader::{self, Leader},
    overview::{Detail, Overview, detail},
    site::{Reach, Site},
    standing::Report,
    watching,
};

pub(super) async fn run(flags: &StatusFlags, site: &Site, desk: &mut Desk<'_>) -> Result<Exit, Stop> {
    if flags.watch {
        return watching::run(flags, site, desk).await;
    }
    let (text, overview) = told(flags, site, desk).await?;
    desk.out.write_all(text.as_bytes())?;
    // Whoever says where the operator is relies on knowing whether it works.
    let unanswered = flags.operator_namespace.is_some() && matches!(overview.operator, Leader::Unknown { .. });
    Ok(if unanswered { Exit::Trouble } else { overview.exit() })
}

/// What is to be printed, and what it was made of.
pub(super) async fn told(flags: &StatusFlags, site: &Site, desk: &Desk<'_>) -> Result<(String, Overview), Stop> {
    let reach = if flags.all_namespaces { Reach::Everywhere } else { Reach::Namespace };
    let connections = match &flags.name {
        Some(name) => vec![site.connection(name).await?],
        None => site.connections(reach, flags.selector.as_deref()).await?,
    };
    let now = desk.clock.now();
    let leader = leader::leader(site, flags.operator_namespace.as_deref(), now).await?;
    let overview = Overview::new(leader, connections.iter().map(Report::of).collect(), reach);
    let level = match (flags.output, flags.all) {
        (Some(StatusOutput::Json), _) => {
            let json = serde_json::to_string_pretty(&overview).map_err(|e| Stop::trouble(e.to_string()))?;
            return Ok((format!("{json}\n"), overview));
        }
        (Some(StatusOutput::Wide), _) => Detail::Wide,
        (None, true) => Detail::All,
        (None, false) => Detail::Needy,
    };
    let text = match (&flags.name, overview.connections.as_slice(), connections.as_slice()) {
        (Some(_), [report], [connection]) if level != Detail::Wide => format!(
            "{}\n{}",
            overview.operator.line(desk.ink, now),
            detail(report, connection.status.as_ref(), desk.ink, now)
        ),
        _ => overview.text(level, desk.ink, now),
    };
    Ok((text, overview))
}
