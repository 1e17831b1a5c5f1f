//! BoxConnection: one Box enterprise and how it is kept in sync.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CurrentSync, GoDuration, LastSync, RemovalHold, Schedule, SyncAttempt, SyncFailures, UserCounts};

/// What to connect: the enterprise, its credentials and the rhythm.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "boxsync.dev",
    version = "v1alpha1",
    kind = "BoxConnection",
    plural = "boxconnections",
    shortname = "boxconn",
    category = "boxsync",
    namespaced,
    status = "BoxConnectionStatus",
    derive = "PartialEq",
    doc = "A BoxConnection names one Box enterprise and the Secret with its credentials. The operator fetches the enterprise's whole user list every syncInterval or by its schedule, and at once for a UserSyncRequest.",
    validation = Rule::new("!has(self.spec.auth.oauth2) || self.spec.auth.oauth2.secretRef.name != self.metadata.name + '-oauth2'").message("must be another Secret: in the one named as the connection with -oauth2 at its end the operator keeps its own tokens").field_path(".spec.auth.oauth2.secretRef.name"),
    validation = Rule::new("size(self.metadata.name) <= 63").message("must be at most 63 characters, since it becomes a label value").field_path(".metadata.name"),
    printcolumn(name = "Enterprise", type_ = "string", json_path = ".spec.enterpriseId", description = "The id of the Box enterprise"),
    printcolumn(name = "Connected", type_ = "string", json_path = r#".status.conditions[?(@.type=="Connected")].status"#, description = "Whether Box accepts the credentials"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#, description = "Whether others may rely on the list"),
    printcolumn(name = "Status", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#, description = "Why it is or is not Ready"),
    printcolumn(name = "Users", type_ = "integer", json_path = ".status.users.total", description = "Users in the last complete list"),
    printcolumn(name = "Active", type_ = "integer", json_path = ".status.users.active", description = "Active users in the last complete list"),
    printcolumn(name = "List-Age", type_ = "date", json_path = ".status.lastSync.completionTime", description = "How long ago the last complete list was fetched"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend", description = "Whether syncs are suspended", priority = 1),
    printcolumn(name = "Next-Sync", type_ = "string", json_path = ".status.nextSync", description = "When the next automatic sync or retry is due", priority = 1),
    printcolumn(name = "Removed", type_ = "integer", json_path = ".status.users.removed", description = "Users who are gone and still known", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, description = "The message of Ready", priority = 1),
)]
#[x_kube(
    validation = Rule::new("!has(self.schedule) || !has(self.syncInterval)").message("set syncInterval or schedule, not both").field_path(".schedule"),
    validation = Rule::new("!has(self.staleAfter) || has(self.schedule) || [self.staleAfter, has(self.syncInterval) ? self.syncInterval : '24h'].exists(d, !d.matches(r'^([0-9]+(\\.[0-9]+)?(h|m|s))+$')) || duration(self.staleAfter) > duration(has(self.syncInterval) ? self.syncInterval : '24h')").message("staleAfter must be longer than syncInterval (24h where it is absent), or the list would be stale before every sync").field_path(".staleAfter")
)]
#[serde(rename_all = "camelCase")]
pub struct BoxConnectionSpec {
    /// The id of the Box enterprise, digits only (Box's Admin Console shows it under Account & Billing). The
    /// credentials must belong to it. Immutable: for another enterprise create another BoxConnection.
    #[x_kube(
        validation = Rule::new("self.matches('^[0-9]{1,20}$')").message("enterpriseId must be the digits that Box's Admin Console shows under Account & Billing"),
        validation = Rule::new("self == oldSelf").message("enterpriseId is immutable: for another enterprise create another BoxConnection")
    )]
    #[schemars(length(max = 64))]
    pub enterprise_id: String,

    /// How the operator signs in to Box: exactly one of the methods.
    pub auth: AuthSpec,

    /// Time between two automatic syncs: hours, minutes and seconds such as `24h` or `1h30m`, from 15m to 8760h. Default 24h,
    /// unless there is a schedule. The time of day is fixed per connection, so that not all of them start at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_interval: Option<GoDuration>,

    /// Instead of syncInterval: the list is to be there at these times. Each connection starts somewhat earlier, by a
    /// fixed part of the operator's --schedule-spread (15m), so that not all of them start at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,

    /// The age from which on the list no longer counts as fresh and the connection is no longer Ready: longer than
    /// syncInterval, up to 17520h. Default: twice the syncInterval; with a schedule, until the second of its times after
    /// the list's sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "GoDuration::schema_up_to_two_years")]
    pub stale_after: Option<GoDuration>,

    /// No automatic syncs and no checks of the connection while true; requests are refused with reason Suspended. Default false.
    #[serde(default)]
    pub suspend: bool,

    /// How long users who are gone stay known as removed, and the record of changes is kept: from 15m to 17520h. Default 720h.
    #[serde(default = "default_history_retention")]
    #[schemars(schema_with = "GoDuration::schema_up_to_two_years")]
    pub history_retention: GoDuration,

    /// When more than this share of the list, and more than 10 users, vanish from Box in one sync, their removal is held
    /// until somebody approves it (approveRemovals of a UserSyncRequest): 0 to 100, where 100 holds nothing. Default 20.
    #[serde(default = "default_max_removal_percent")]
    #[schemars(range(min = 0, max = 100))]
    pub max_removal_percent: i32,
}

fn default_history_retention() -> GoDuration {
    GoDuration::from(Duration::from_secs(720 * 3600))
}

fn default_max_removal_percent() -> i32 {
    20
}

/// How the operator signs in to Box: exactly one of the methods.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(
    validation = Rule::new("[has(self.clientCredentials), has(self.jwt), has(self.oauth2)].exists_one(x, x)").message("set exactly one of clientCredentials, jwt and oauth2")
)]
#[serde(rename_all = "camelCase")]
pub struct AuthSpec {
    /// Client credentials of a Box app: a Secret with the keys `clientId` and `clientSecret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_credentials: Option<AuthMethod>,

    /// A Box app with a key pair: a Secret with the key `config.json`, the file that Box's developer console hands out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<AuthMethod>,

    /// A Box app that a user authorized (OAuth 2.0): a Secret with the keys `clientId`, `clientSecret` and
    /// `refreshToken`. `kubectl boxsync connect` writes it. The operator never changes it: tokens that Box hands out
    /// later are kept in a Secret of the operator's own, named as the connection with `-oauth2` at its end. Needs an
    /// operator that runs with --oauth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<AuthMethod>,
}

impl AuthSpec {
    /// The method and its Secret; `None` only for an object that bypassed the schema.
    pub fn selected_method(&self) -> Option<(AuthType, &str)> {
        let AuthSpec { client_credentials, jwt, oauth2 } = self;
        match (client_credentials, jwt, oauth2) {
            (Some(m), None, None) => Some((AuthType::ClientCredentials, &m.secret_ref.name)),
            (None, Some(m), None) => Some((AuthType::Jwt, &m.secret_ref.name)),
            (None, None, Some(m)) => Some((AuthType::Oauth2, &m.secret_ref.name)),
            _ => None,
        }
    }
}

/// One way to sign in, and where its credentials are.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AuthMethod {
    /// The Secret that holds the credentials, in the namespace of the BoxConnection.
    pub secret_ref: SecretRef,
}

/// A Secret in the same namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct SecretRef {
    /// The name of the Secret, in the namespace of the BoxConnection.
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')").message("name must be the name of a Secret: lower-case letters, digits, '-' and '.'")
    )]
    #[schemars(length(max = 253))]
    pub name: String,
}

/// A way to sign in to Box.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub enum AuthType {
    ClientCredentials,
    Jwt,
    Oauth2,
}

/// What the operator last saw of the connection.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BoxConnectionStatus {
    /// The generation of the spec that this status speaks of; -1 until an operator has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Ready (may others rely on the list?), Connected (does Box accept the credentials?), Synced (how did the last
    /// attempt go?), and only while they apply Reconciling, Stalled (a person is needed) and Paused (the operator is
    /// told to ask Box nothing).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// The enterprise that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enterprise: Option<BoxEnterprise>,

    /// The Box account that the credentials act as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<BoxAccount>,

    /// The Box app that a Box admin has to authorize.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<BoxApp>,

    /// Counts of the last complete list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<UserCounts>,

    /// The last sync that succeeded; its completionTime says how fresh the list is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sync: Option<LastSync>,

    /// The sync that runs now. Box gives no total, so there is no percentage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_sync: Option<CurrentSync>,

    /// When the next automatic sync or retry is due. Output only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_sync_time: Option<Time>,

    /// nextSyncTime as people read it: with a schedule, on the clock of its time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_sync: Option<String>,

    /// When the list stops counting as fresh if no sync succeeds until then. Output only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_time: Option<Time>,

    /// The failed attempts since the last success; absent when the last attempt succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<SyncFailures>,

    /// Users who vanished from Box and whose removal waits for approval; absent when nothing is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<RemovalHold>,

    /// The last attempts that ended, newest first, at most five.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub history: Vec<SyncAttempt>,

    /// The credentials that Box last accepted: where they came from, never what they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<AcceptedCredentials>,

    /// Until when the authorization of a user lives (OAuth 2.0); absent for the other methods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,

    /// The value of the annotation boxsync.dev/requested-at that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_request: Option<String>,

    /// The published list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roster_ref: Option<RosterRef>,
}

/// A published list.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct RosterRef {
    /// The name of the UserRoster.
    pub name: String,
    /// Its revision when it was last written or found unchanged.
    pub revision: i64,
}

/// A Box enterprise.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct BoxEnterprise {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A Box account.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct BoxAccount {
    /// Its user id.
    pub id: String,
    /// Its login; a service account's ends in @boxdevedition.com.
    pub login: String,
    /// Its name.
    pub name: String,
}

/// A Box app.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BoxApp {
    /// Its client id, by which a Box admin authorizes it. No secret.
    pub client_id: String,
    /// How it signs in.
    pub auth_type: AuthType,
}

/// Credentials that Box accepted.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AcceptedCredentials {
    /// How they sign in.
    pub method: AuthType,
    /// The Secret they came from.
    pub secret_name: String,
    /// The Secret's resourceVersion at that time.
    pub resource_version: String,
    /// When Box first accepted this resourceVersion.
    pub accepted_time: Time,
}

/// The authorization that a Box user gave an app (OAuth 2.0).
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Authorization {
    /// It ends then, or later: Box lets it live for 60 days from each renewal, and the operator renews it long before.
    /// Told anew when it has moved by more than a day.
    pub expiration_time: Time,
    /// When an event warned that it ends within two weeks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warned_time: Option<Time>,
}
