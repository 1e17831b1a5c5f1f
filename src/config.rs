//! config — command-line arguments and environment variables of the operator.

use std::{net::SocketAddr, str::FromStr, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand, builder::NonEmptyStringValueParser};

use crate::{
    api::{ExtraAnnotations, ExtraLabels},
    box_client::{BaseUrl, CaBundle},
    runtime::LogFormat,
};

/// Kubernetes operator that syncs the user lists of Box enterprises.
#[derive(Debug, Parser)]
#[command(name = "boxsync-operator", version)]
pub struct OperatorArgs {
    #[command(subcommand)]
    pub subcommand: OperatorSubcommand,
}

#[derive(Debug, Subcommand)]
pub enum OperatorSubcommand {
    /// Run the operator, in a cluster or with KUBECONFIG; SIGTERM shuts it down gracefully.
    Run(Box<Config>),
    /// Print the CustomResourceDefinitions, for kubectl apply --server-side -f -.
    Crds,
}

#[derive(Args, Clone, Debug)]
pub struct Config {
    /// URL of the Box API: https, or http to a loopback address.
    #[arg(long, env = "BOXSYNC_BOX_API_URL", default_value_t)]
    pub box_api_url: BaseUrl,

    /// PEM file with certificates that may sign those of Box, in addition to those that the system trusts.
    #[arg(long, env = "BOXSYNC_CA_BUNDLE", value_name = "FILE")]
    pub ca_bundle: Option<CaBundle>,

    /// Namespace to watch; repeat, or separate with commas. Default: all namespaces.
    #[arg(long = "watch-namespace", env = "BOXSYNC_WATCH_NAMESPACE", value_name = "NAMESPACE", value_delimiter = ',')]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub watch_namespaces: Vec<String>,

    /// Maximum number of connections that call Box concurrently; one of these permits is for requests alone.
    #[arg(long, env = "BOXSYNC_MAX_CONCURRENT_SYNCS", default_value_t = 4, value_parser = parse_positive_count)]
    pub max_concurrent_syncs: usize,

    /// Minimum time between the end of one sync of a connection and the start of the next.
    #[arg(long, env = "BOXSYNC_MIN_SYNC_GAP", default_value = "15s", value_parser = parse_duration)]
    pub min_sync_gap: Duration,

    /// Interval between two probes of a connected connection.
    #[arg(long, env = "BOXSYNC_PROBE_INTERVAL", default_value = "1h", value_parser = parse_positive_duration)]
    pub probe_interval: Duration,

    /// Refresh the tokens of auth.oauth2 connections; requires permission to write Secrets.
    #[arg(long, env = "BOXSYNC_OAUTH", default_value_t = false, action = ArgAction::Set, value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub oauth: bool,

    /// Maximum time a cron sync starts before its scheduled time; each connection has its own offset, so that they do not
    /// all start at once.
    #[arg(long, env = "BOXSYNC_SCHEDULE_SPREAD", default_value = "15m", value_parser = parse_duration)]
    pub schedule_spread: Duration,

    /// Make no Box calls: no syncs, no probes. The last status stays, requests wait; both resume when the operator is
    /// started without this flag.
    #[arg(long, env = "BOXSYNC_PAUSED", default_value_t = false, action = ArgAction::Set, value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub paused: bool,

    /// Labels of UserRosters, UserSlices and the Secrets of refreshed tokens, for clusters whose policies demand them:
    /// key=value, separated by commas.
    #[arg(
        long,
        env = "BOXSYNC_OBJECT_LABELS",
        value_name = "KEY=VALUE,...",
        default_value = "",
        hide_default_value = true
    )]
    pub object_labels: ExtraLabels,

    /// Annotations of the same objects: key=value, separated by commas; a comma in a value is written as \,.
    #[arg(long, env = "BOXSYNC_OBJECT_ANNOTATIONS", value_name = "KEY=VALUE,...", default_value = "")]
    #[arg(hide_default_value = true)]
    pub object_annotations: ExtraAnnotations,

    /// Enable leader election. If false, run a single replica.
    #[arg(long, env = "BOXSYNC_LEADER_ELECT", default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub leader_elect: bool,

    /// Time after its last renewal until a Lease expires and another replica takes over; whole seconds, longer than
    /// --renew-deadline.
    #[arg(long, env = "BOXSYNC_LEASE_DURATION", default_value = "15s", value_parser = parse_positive_duration)]
    pub lease_duration: Duration,

    /// Time without a successful renewal after which the leader stops; longer than 1.2 times --retry-period.
    #[arg(long, env = "BOXSYNC_RENEW_DEADLINE", default_value = "10s", value_parser = parse_positive_duration)]
    pub renew_deadline: Duration,

    /// Interval at which the leader renews the Lease and the other replicas check it.
    #[arg(long, env = "BOXSYNC_RETRY_PERIOD", default_value = "2s", value_parser = parse_positive_duration)]
    pub retry_period: Duration,

    /// Namespace of the Lease. Default: POD_NAMESPACE, then the namespace of the ServiceAccount or kubeconfig.
    #[arg(long, env = "BOXSYNC_LEASE_NAMESPACE", value_parser = NonEmptyStringValueParser::new())]
    pub lease_namespace: Option<String>,

    /// Unique identity of this replica in the Lease. Default: host name and process ID.
    #[arg(long, env = "POD_NAME", value_parser = NonEmptyStringValueParser::new())]
    pub identity: Option<String>,

    /// Address and port for /livez, /readyz and /metrics; port 0 picks a free one; off disables them. [::] includes IPv4.
    #[arg(long, env = "BOXSYNC_LISTEN", default_value = "[::]:8080")]
    pub listen: ListenAddress,

    /// Export metrics per connection: twelve series each (and one for each kind of mass change), which can be too many for thousands of connections.
    #[arg(long, env = "BOXSYNC_CONNECTION_METRICS", default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub connection_metrics: bool,

    /// Log format.
    #[arg(long, env = "BOXSYNC_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,

    /// Log level: error, warn, info, debug or trace; or levels by module, such as info,hyper=debug.
    #[arg(long, env = "BOXSYNC_LOG", default_value = "info")]
    pub log: String,
}

/// Value of `--listen`.
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
    use crate::leader_election::ElectionTiming;

    fn parse_config(arguments: &[&str]) -> Result<Config, clap::Error> {
        let all = ["boxsync-operator", "run"].iter().chain(arguments);
        match OperatorArgs::try_parse_from(all)?.subcommand {
            OperatorSubcommand::Run(config) => Ok(*config),
            OperatorSubcommand::Crds => unreachable!("the arguments select run"),
        }
    }

    #[test]
    fn all_flags_have_defaults() {
        let config = parse_config(&[]).expect("defaults are valid");
        assert_eq!(config.box_api_url.to_string(), BaseUrl::default().to_string());
        assert_eq!((config.max_concurrent_syncs, config.watch_namespaces.len()), (4, 0));
        assert_eq!((config.leader_elect, config.lease_namespace), (true, None));
        assert_eq!(config.listen, ListenAddress::Bind("[::]:8080".parse().expect("an address")));
        assert!(config.connection_metrics);
        let timing = ElectionTiming::new(config.lease_duration, config.renew_deadline, config.retry_period);
        assert_eq!(timing, Ok(ElectionTiming::default()));
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
    fn object_labels_and_annotations_are_empty_by_default() {
        let config = parse_config(&["--object-labels", ""]).expect("valid");
        assert_eq!((config.object_labels, config.object_annotations), Default::default());
        let config = parse_config(&["--object-labels=a=b,c=d"]).expect("valid");
        assert_eq!(Ok(config.object_labels), "c=d,a=b".parse());
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
            ["--ca-bundle", ""],
            ["--ca-bundle", "/missing.pem"],
            ["--ca-bundle", "/dev/null"],
            ["--max-concurrent-syncs", "0"],
            ["--probe-interval", "0s"],
            ["--min-sync-gap", "soon"],
            ["--lease-duration", "0s"],
            ["--renew-deadline", "soon"],
            ["--retry-period", "-2s"],
            ["--schedule-spread", "soon"],
            ["--object-labels", "owner"],
            ["--object-labels", "boxsync.dev/connection=acme"],
            ["--object-annotations", "a b=c"],
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
