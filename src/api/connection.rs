//! BoxConnection: a Box enterprise, its credentials and its sync settings.

use std::{fmt, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::{CurrentSync, GoDuration, LastSync, RemovalHold, Schedule, SyncAttempt, SyncFailures, UserCounts};

/// The enterprise, its credentials and when to sync.
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
    doc = "A BoxConnection names one Box enterprise and the Secret with its credentials. The operator fetches the enterprise's whole user list every syncInterval or by its schedule, and immediately for a UserSyncRequest.",
    validation = Rule::new("!has(self.spec.auth.oauth2) || self.spec.auth.oauth2.secretRef.name != self.metadata.name + '-oauth2'").message("must be another Secret: NAME-oauth2 is reserved for the operator's own tokens").field_path(".spec.auth.oauth2.secretRef.name"),
    validation = Rule::new("size(self.metadata.name) <= 63").message("must be at most 63 characters, since it becomes a label value").field_path(".metadata.name"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#, description = "Whether the list is usable"),
    printcolumn(name = "Status", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#, description = "Why it is or is not Ready"),
    printcolumn(name = "Users", type_ = "integer", json_path = ".status.users.total", description = "Users in the last complete list"),
    printcolumn(name = "List-Age", type_ = "date", json_path = ".status.lastSync.completionTime", description = "The age of the last complete list"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Connected", type_ = "string", json_path = r#".status.conditions[?(@.type=="Connected")].status"#, description = "Whether Box accepts the credentials", priority = 1),
    printcolumn(name = "Synced", type_ = "string", json_path = r#".status.conditions[?(@.type=="Synced")].reason"#, description = "How the last attempt ended", priority = 1),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspend", description = "Whether syncs are suspended", priority = 1),
    printcolumn(name = "Enterprise", type_ = "string", json_path = ".spec.enterpriseId", description = "The id of the Box enterprise", priority = 1),
    printcolumn(name = "Active", type_ = "integer", json_path = ".status.users.active", description = "Active users in the last complete list", priority = 1),
    printcolumn(name = "Removed", type_ = "integer", json_path = ".status.users.removed", description = "Removed users that are still recorded", priority = 1),
    printcolumn(name = "Next-Sync", type_ = "string", json_path = ".status.nextSync", description = "When the next automatic sync or retry is due", priority = 1),
)]
#[x_kube(
    validation = Rule::new("!has(self.schedule) || !has(self.syncInterval)").message("set syncInterval or schedule, not both").field_path(".schedule"),
    validation = Rule::new("!has(self.staleAfter) || has(self.schedule) || [self.staleAfter, has(self.syncInterval) ? self.syncInterval : '24h'].exists(d, !d.matches(r'^([0-9]+(\\.[0-9]+)?(h|m|s))+$')) || duration(self.staleAfter) > duration(has(self.syncInterval) ? self.syncInterval : '24h')").message("staleAfter must be longer than syncInterval (default 24h), or the list would be stale before every sync").field_path(".staleAfter")
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
    /// unless there is a schedule. The time of day is fixed per connection, so that not all connections sync at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_interval: Option<GoDuration>,

    /// Instead of syncInterval: the list is ready at these times. Each connection starts somewhat earlier, by a fixed
    /// part of the operator's --schedule-spread (15m), so that not all connections sync at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,

    /// The age after which the list is stale and the connection is no longer Ready: longer than syncInterval, up to
    /// 17520h. Default: twice the syncInterval; with a schedule, when two scheduled times have been missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "GoDuration::schema_up_to_two_years")]
    pub stale_after: Option<GoDuration>,

    /// Stops automatic syncs and checks of the connection while true; requests fail with reason Suspended. Default false.
    #[serde(default)]
    pub suspend: bool,

    /// How long removed users and the changes of revisions stay recorded: from 15m to 17520h. Default 720h.
    #[serde(default = "default_history_retention")]
    #[schemars(schema_with = "GoDuration::schema_up_to_two_years")]
    pub history_retention: GoDuration,

    /// If more than this percentage of the list, and more than 10 users, vanish from Box within 24 hours, their removal is
    /// held until it is approved (approveRemovals of a UserSyncRequest): 0 to 100, where 100 switches this limit off.
    /// Default 20. Below 100, it is also held if more than half of the list (at least 3 users) or all people vanish.
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
    pub client_credentials: Option<ServerAuthMethod>,

    /// A Box app with a key pair: a Secret with the key `config.json`, the file from Box's developer console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<ServerAuthMethod>,

    /// A Box app that a user authorized (OAuth 2.0): a Secret with the keys `clientId`, `clientSecret` and
    /// `refreshToken`. `kubectl boxsync connect` writes it. The operator never changes it: tokens that Box
    /// issues later are stored in the operator's own Secret, NAME-oauth2. Requires the operator's flag --oauth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<AuthMethod>,
}

impl AuthSpec {
    /// The method and the name of its Secret; `None` only for an object that bypassed the schema.
    pub fn selected_method(&self) -> Option<(AuthType, &str)> {
        let AuthSpec { client_credentials, jwt, oauth2 } = self;
        match (client_credentials, jwt, oauth2) {
            (Some(m), None, None) => Some((AuthType::ClientCredentials, &m.secret_ref.name)),
            (None, Some(m), None) => Some((AuthType::Jwt, &m.secret_ref.name)),
            (None, None, Some(m)) => Some((AuthType::Oauth2, &m.secret_ref.name)),
            _ => None,
        }
    }

    /// The Box user that the app acts as; `None` if it acts as its service account, or as the user who authorized it.
    pub fn user_id(&self) -> Option<&str> {
        let method = self.client_credentials.as_ref().or(self.jwt.as_ref())?;
        method.user_id.as_deref()
    }
}

/// The credentials of an app, and whom it acts as.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ServerAuthMethod {
    /// The Secret that holds the credentials, in the namespace of the BoxConnection.
    pub secret_ref: SecretRef,

    /// The id of the Box user that the app acts as, digits only: an admin, or a co-admin who may manage users. The app needs
    /// "Generate user access tokens" in Box's developer console. Default: the app's own service account, which needs no user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("self.matches('^[0-9]{1,20}$')").message("userId must be the digits of a Box user's id, not a login")
    )]
    #[schemars(length(max = 64))]
    pub user_id: Option<String>,
}

/// The credentials of a sign-in method.
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

/// A way to sign in to Box. The status stores it as a word, since a newer version may know more of them.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr)]
#[serde(rename_all = "camelCase")]
#[strum(serialize_all = "camelCase", const_into_str)]
pub enum AuthType {
    ClientCredentials,
    Jwt,
    Oauth2,
}

impl AuthType {
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

/// The last observed state of the connection.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BoxConnectionStatus {
    /// The generation of the spec that this status describes; -1 until an operator has processed the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Ready (is the list usable?), Connected (does Box accept the credentials?), Synced (did the last attempt
    /// succeed?), and only while they apply Reconciling, Stalled (a person must act) and Paused (the operator must not
    /// call Box).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// The enterprise that the credentials belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enterprise: Option<BoxEnterprise>,

    /// The Box account that the credentials act as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<BoxAccount>,

    /// The Box app that a Box admin must authorize.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<BoxApp>,

    /// Counts of the last complete list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<UserCounts>,

    /// The last successful sync; its completionTime is the age of the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sync: Option<LastSync>,

    /// The running sync. Box reports no total, so there is no percentage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_sync: Option<CurrentSync>,

    /// When the next automatic sync or retry is due. Output only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_sync_time: Option<Time>,

    /// nextSyncTime in human-readable form; with a schedule, in its time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_sync: Option<String>,

    /// When the list becomes stale if no sync succeeds until then. Output only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_time: Option<Time>,

    /// The failed attempts since the last success; absent when the last attempt succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<SyncFailures>,

    /// Users who vanished from Box and whose removal waits for approval; absent when nothing is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<RemovalHold>,

    /// The last finished attempts, newest first, at most five.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub history: Vec<SyncAttempt>,

    /// The credentials that Box last accepted: their source, never their content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<AcceptedCredentials>,

    /// When the authorization of a user expires (OAuth 2.0); absent for the other methods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,

    /// The last handled value of the annotation boxsync.dev/requested-at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_request: Option<String>,

    /// The published list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roster_ref: Option<RosterRef>,

    /// The operator that works on this connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatorRef>,
}

/// An operator.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct OperatorRef {
    /// The Lease that its leader renews: whether it is renewed shows whether the operator runs. Absent if it runs without
    /// leader election.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ref: Option<LeaseRef>,
}

/// A Lease.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaseRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A published list.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct RosterRef {
    /// The name of the UserRoster.
    pub name: String,
    /// The revision that was last written or found unchanged.
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

/// `1001 (Acme)`.
impl fmt::Display for BoxEnterprise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        if self.name.is_empty() { Ok(()) } else { write!(f, " ({})", self.name) }
    }
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
    /// Its client id, by which a Box admin authorizes it. Not a secret.
    pub client_id: String,
    /// The sign-in method.
    #[schemars(with = "AuthType")]
    pub auth_type: String,
}

/// Credentials that Box accepted.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AcceptedCredentials {
    /// The sign-in method.
    #[schemars(with = "AuthType")]
    pub method: String,
    /// The Secret that holds them.
    pub secret_name: String,
    /// The Secret's resourceVersion when Box accepted them.
    pub resource_version: String,
    /// The Box user that the app acts as; absent if it acts as its service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// When Box first accepted this resourceVersion.
    pub accepted_time: Time,
}

/// The authorization of an app by a Box user (OAuth 2.0).
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Authorization {
    /// The earliest time at which it expires: it is valid for 60 days from each renewal, and the operator renews it long
    /// before. Updated when it has moved by more than a day.
    pub expiration_time: Time,
    /// When an event warned that it expires within two weeks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warned_time: Option<Time>,
}
