//! Flags and environment.

use std::{net::SocketAddr, str::FromStr, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand, builder::NonEmptyStringValueParser};

use crate::{box_client::BaseUrl, runtime::LogFormat};

/// Keeps the user lists of Box enterprises in a Kubernetes cluster in sync.
#[derive(Debug, Parser)]
#[command(name = "boxsync-operator", version)]
pub struct OperatorArgs {
    #[command(subcommand)]
    pub subcommand: OperatorSubcommand,
}

#[derive(Debug, Subcommand)]
pub enum OperatorSubcommand {
    /// Run the operator, in a cluster or with KUBECONFIG; SIGTERM ends it in good order.
    Run(Box<Config>),
    /// Print the CustomResourceDefinitions, for kubectl apply --server-side -f -.
    Crds,
}

#[derive(Args, Clone, Debug)]
pub struct Config {
    /// Where Box's API is: HTTPS, or HTTP to this machine only.
    #[arg(long, env = "BOXSYNC_BOX_API_URL", default_value_t)]
    pub box_api_url: BaseUrl,

    /// A namespace to look into; repeat it, or separate them with commas, for several. Without it, all of them.
    #[arg(long = "watch-namespace", env = "BOXSYNC_WATCH_NAMESPACE", value_name = "NAMESPACE", value_delimiter = ',')]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub watch_namespaces: Vec<String>,

    /// How many connections may work with Box at once; scheduled work takes all but one of these places.
    #[arg(long, env = "BOXSYNC_MAX_CONCURRENT_SYNCS", default_value_t = 4, value_parser = parse_positive_count)]
    pub max_concurrent_syncs: usize,

    /// Time between the end of one listing of a connection and the start of its next.
    #[arg(long, env = "BOXSYNC_MIN_SYNC_GAP", default_value = "15s", value_parser = parse_duration)]
    pub min_sync_gap: Duration,

    /// Time between two checks of a connection that works.
    #[arg(long, env = "BOXSYNC_PROBE_INTERVAL", default_value = "1h", value_parser = parse_positive_duration)]
    pub probe_interval: Duration,

    /// Whether tokens of users (auth.oauth2) are renewed, which takes the right to write Secrets.
    #[arg(long, env = "BOXSYNC_OAUTH", default_value_t = false, action = ArgAction::Set, value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub oauth: bool,

    /// The longest time by which the syncs of a schedule begin before the time that it names: each connection has its own
    /// part of it, so that not all of them start at once.
    #[arg(long, env = "BOXSYNC_SCHEDULE_SPREAD", default_value = "15m", value_parser = parse_duration)]
    pub schedule_spread: Duration,

    /// Ask Box nothing: no syncs, no checks. What is known is still told, requests wait, and all of it goes on when the
    /// operator runs without this again.
    #[arg(long, env = "BOXSYNC_PAUSED", default_value_t = false, action = ArgAction::Set, value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub paused: bool,

    /// Whether replicas elect one that works while the others wait. Without it, run one process only.
    #[arg(long, env = "BOXSYNC_LEADER_ELECT", default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub leader_elect: bool,

    /// The namespace of the Lease that the replicas share; without it, POD_NAMESPACE, or else the ServiceAccount's or
    /// the kubeconfig's.
    #[arg(long, env = "BOXSYNC_LEASE_NAMESPACE", value_parser = NonEmptyStringValueParser::new())]
    pub lease_namespace: Option<String>,

    /// This replica's name in the Lease, which no other may have; without it, the host's name and the process id.
    #[arg(long, env = "POD_NAME", value_parser = NonEmptyStringValueParser::new())]
    pub identity: Option<String>,

    /// Where /livez, /readyz and /metrics are served: an address and a port, 0 for any that is free; off for nowhere. [::] is
    /// every address, those of IPv4 too.
    #[arg(long, env = "BOXSYNC_LISTEN", default_value = "[::]:8080")]
    pub listen: ListenAddress,

    /// Whether each connection has metrics of its own: twelve series, which many thousand connections may make too many.
    #[arg(long, env = "BOXSYNC_CONNECTION_METRICS", default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub connection_metrics: bool,

    /// How a log line looks.
    #[arg(long, env = "BOXSYNC_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,

    /// What is logged: a level, or levels by module such as info,boxsync=debug. The client library is silent by
    /// default, since the operator tells its troubles itself.
    #[arg(long, env = "BOXSYNC_LOG", default_value = "info,kube=off")]
    pub log: String,
}

/// Where the port is, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    Bind(SocketAddr),
    Disabled,
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" | "off" => Ok(Self::Disabled),
            address => address
                .parse()
                .map(Self::Bind)
                .map_err(|_| "must be such as 0.0.0.0:8080 or [::]:8080, or off".to_owned()),
        }
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    text.parse::<crate::api::GoDuration>().map(|i| i.as_duration()).map_err(|e| e.to_string())
}

fn parse_positive_duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("must be longer than 0s".to_owned()),
        length => Ok(length),
    }
}

fn parse_positive_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(n) => Ok(n),
        Err(_) => Err("must be a number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_config(arguments: &[&str]) -> Result<Config, clap::Error> {
        let all = ["boxsync-operator", "run"].iter().chain(arguments);
        match OperatorArgs::try_parse_from(all)?.subcommand {
            OperatorSubcommand::Run(config) => Ok(*config),
            OperatorSubcommand::Crds => unreachable!("run was asked for"),
        }
    }

    #[test]
    fn defaults_suit_a_cluster() {
        let config = parse_config(&[]).expect("defaults are valid");
        assert_eq!(config.box_api_url.to_string(), BaseUrl::default().to_string());
        assert_eq!((config.max_concurrent_syncs, config.watch_namespaces.len()), (4, 0));
        assert_eq!((config.leader_elect, config.lease_namespace), (true, None));
        assert_eq!(config.listen, ListenAddress::Bind("[::]:8080".parse().expect("an address")));
        assert!(config.connection_metrics);
    }

    #[test]
    fn namespaces_can_be_repeated_or_comma_separated() {
        for arguments in [&["--watch-namespace", "a", "--watch-namespace=b"][..], &["--watch-namespace=a,b"]] {
            assert_eq!(parse_config(arguments).expect("valid").watch_namespaces, ["a", "b"], "{arguments:?}");
        }
    }

    #[test]
    fn the_operator_is_paused_only_with_the_flag() {
        for (arguments, paused) in
            [(&[][..], false), (&["--paused"], true), (&["--paused=true"], true), (&["--paused=false"], false)]
        {
            assert_eq!(parse_config(arguments).expect("valid").paused, paused, "{arguments:?}");
        }
    }

    #[test]
    fn leader_election_is_on_by_default() {
        for (arguments, elects) in [
            (&[][..], true),
            (&["--leader-elect"], true),
            (&["--leader-elect=true"], true),
            (&["--leader-elect=false"], false),
        ] {
            assert_eq!(parse_config(arguments).expect("valid").leader_elect, elects, "{arguments:?}");
        }
    }

    #[test]
    fn the_listen_address_can_be_set_or_turned_off() {
        let listen = |at: &str| parse_config(&["--listen", at]).expect("valid").listen;
        assert_eq!(listen("127.0.0.1:0"), ListenAddress::Bind(([127, 0, 0, 1], 0).into()));
        assert_eq!((listen("off"), listen("")), (ListenAddress::Disabled, ListenAddress::Disabled));
    }

    #[test]
    fn durations_use_the_format_of_the_spec_and_can_be_zero() {
        assert_eq!(parse_config(&["--min-sync-gap", "0s"]).expect("valid").min_sync_gap, Duration::ZERO);
        assert_eq!(parse_config(&["--schedule-spread", "0s"]).expect("valid").schedule_spread, Duration::ZERO);
        assert_eq!(
            parse_config(&["--probe-interval", "1h30m"]).expect("valid").probe_interval,
            Duration::from_secs(5400)
        );
    }

    #[test]
    fn invalid_flags_are_rejected() {
        for bad in [
            ["--box-api-url", "http://api.box.com"],
            ["--max-concurrent-syncs", "0"],
            ["--probe-interval", "0s"],
            ["--min-sync-gap", "soon"],
            ["--schedule-spread", "soon"],
            ["--paused", "true"],
            ["--leader-elect", "false"],
            ["--lease-namespace", ""],
            ["--watch-namespace", ""],
            ["--watch-namespace", "a,,b"],
            ["--identity", ""],
            ["--listen", "8080"],
        ] {
            assert!(parse_config(&bad).is_err(), "{bad:?}");
        }
    }
}
