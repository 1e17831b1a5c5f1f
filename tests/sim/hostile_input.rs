//! Input of one tenant that is as large or as costly as it can be: its connection fails and says why, and the others work.

use base64::{Engine, prelude::BASE64_STANDARD};
use box_sim::{AuthMethod, Enterprise, EnterpriseConfig, KeyFormat};
use boxsync::api::{ConditionsExt, Reason};
use kube_sim::{Fault, FaultAction, Verb};
use pkcs8::{
    EncryptedPrivateKeyInfoOwned,
    der::{Encode, asn1::OctetString},
    pkcs5::{
        EncryptionScheme,
        pbes2::{self, Kdf, Pbkdf2Params, Pbkdf2Prf, Salt, ScryptParams},
    },
};
use serde_json::{Value, json};

use crate::{
    env::{NAMESPACE, SimEnv, encode_base64, format_condition, request_succeeded, sleep_secs},
    sign_in::secret_data,
};

/// The largest Secret that the API server accepts.
const MAX_SECRET_BYTES: usize = 1 << 20;
/// The largest status that texts of tenants and of Box can make.
const MAX_STATUS_BYTES: usize = 16 << 10;

/// The PEM of a private key that is encrypted in this way. Its content does not matter.
fn encrypted_key(kdf: Kdf) -> String {
    let encryption = pbes2::EncryptionScheme::Aes256Cbc { iv: [0; 16] };
    let encryption_algorithm = EncryptionScheme::Pbes2(pbes2::Parameters { kdf, encryption });
    let encrypted_data = OctetString::new([0; 1200]).expect("short");
    let der = EncryptedPrivateKeyInfoOwned { encryption_algorithm, encrypted_data }.to_der().expect("DER");
    let body = BASE64_STANDARD.encode(der);
    format!("-----BEGIN ENCRYPTED PRIVATE KEY-----\n{body}\n-----END ENCRYPTED PRIVATE KEY-----\n")
}

fn scrypt(cost_parameter: u64) -> String {
    let salt = Salt::new([7; 16]).expect("a salt");
    encrypted_key(Kdf::Scrypt(ScryptParams {
        salt,
        cost_parameter,
        block_size: 8,
        parallelization: 1,
        key_length: None,
    }))
}

fn pbkdf2(iteration_count: u32) -> String {
    let salt = Salt::new([7; 16]).expect("a salt");
    let prf = Pbkdf2Prf::HmacWithSha512;
    encrypted_key(Kdf::Pbkdf2(Pbkdf2Params { salt, iteration_count, key_length: None, prf }))
}

/// The enterprise's configuration file with a changed value.
fn config_with(enterprise: &Enterprise, path: &str, value: &str) -> String {
    let config = enterprise.config_json(KeyFormat::Pkcs8TripleDes).expect("an app with a key pair");
    let mut config: Value = serde_json::from_str(&config).expect("JSON");
    *config.pointer_mut(path).expect("a member") = value.into();
    config.to_string()
}

/// Secrets of `enterprise` that must be refused, with the words that the message must contain.
fn hostile_configs(enterprise: &Enterprise) -> Vec<(String, &'static [&'static str])> {
    let key = |pem: String| config_with(enterprise, "/boxAppSettings/appAuth/privateKey", &pem);
    let client_id = |text: String| config_with(enterprise, "/boxAppSettings/clientID", &text);
    vec![
        (key(scrypt(1 << 45)), &["scrypt and N=35184372088832", "64 MiB", "new key pair"]),
        (key(scrypt(1 << 20)), &["scrypt and N=1048576", "-topk8"]),
        (key(scrypt(0)), &["unsupported key derivation"]),
        (key(pbkdf2(u32::MAX)), &["4294967295 iterations", "at most 2000000", "-iter 100000"]),
        (key(pbkdf2(0)), &["unsupported key derivation"]),
        (key("A".repeat(MAX_SECRET_BYTES - 4096)), &["longer than 65536 bytes"]),
        ("[".repeat(MAX_SECRET_BYTES), &["longer than 65536 bytes"]),
        ("[".repeat(60_000), &["not JSON"]),
        (format!(r#"{{"boxAppSettings":{}"#, r#"{"a":"#.repeat(10_000)), &["not JSON"]),
        (client_id("x".repeat(900_000)), &["longer than 65536 bytes"]),
        (client_id("x".repeat(50_000)), &["boxAppSettings.clientID is longer than 256 bytes"]),
        (client_id("x\u{1}y".to_owned()), &["control character"]),
        (config_with(enterprise, "/enterpriseID", &"9".repeat(50_000)), &["enterpriseID is longer than 64 bytes"]),
    ]
}

/// Requests syncs of both connections: the one with the hostile Secret fails and says why, the other one succeeds.
async fn check_contained(world: &SimEnv, n: usize, words: &[&str]) {
    let requests = [("acme", format!("acme-{n}")), ("globex", format!("globex-{n}"))];
    for (connection, request) in &requests {
        world.create_request(request, connection);
    }
    let [failed, succeeded] = requests.map(|(_, request)| request);
    let failed = world.wait_until_finished(&failed).await;
    assert_eq!(format_condition(&failed.conditions, "Failed"), format!("True {}", Reason::CredentialsInvalid));
    assert!(request_succeeded(&world.wait_until_finished(&succeeded).await), "globex did not sync: {words:?}");
    let status = world.connection_status("acme");
    assert_eq!(format_condition(&status.conditions, "Connected"), format!("False {}", Reason::CredentialsInvalid));
    let message = status.conditions.find_condition("Connected").map(|c| c.message.as_str()).unwrap_or_default();
    assert!(words.iter().all(|word| message.contains(word)), "no {words:?} in {message:?}");
    let size = serde_json::to_vec(&status).expect("JSON").len();
    assert!(size < MAX_STATUS_BYTES, "the status has {size} bytes");
}

#[tokio::test(start_paused = true)]
async fn a_configuration_file_that_demands_too_much_fails_only_its_connection() {
    let world = SimEnv::with_operator();
    world.connect_enterprise("globex", 20);
    let acme = world.add_enterprise_with_auth("acme", 10, AuthMethod::Jwt);
    world.apply_connection_with_auth("acme", acme.id(), AuthMethod::Jwt);
    for (n, (config, words)) in hostile_configs(&acme).into_iter().enumerate() {
        world.apply_secret("acme", &json!({ "config.json": encode_base64(&config) }));
        check_contained(&world, n, words).await;
    }
    world.apply_secret("acme", &secret_data(&acme, AuthMethod::Jwt));
    world.wait_for_connection("acme", |s| s.last_sync.is_some()).await;
}

#[tokio::test(start_paused = true)]
async fn client_credentials_that_are_too_long_fail_only_their_connection() {
    let world = SimEnv::with_operator();
    world.connect_enterprise("globex", 20);
    let acme = world.add_enterprise("acme", 10);
    world.apply_connection("acme", acme.id(), &json!({}));
    let cases: &[(&str, String, &[&str])] = &[
        ("clientId", "x".repeat(900_000), &["client id is longer than 256 bytes"]),
        ("clientId", "\u{1}".repeat(100), &["client id contains a line break or another control character"]),
        ("clientSecret", "x".repeat(900_000), &["client secret is longer than 1024 bytes"]),
    ];
    for (n, (key, value, words)) in cases.iter().enumerate() {
        let mut data = secret_data(&acme, AuthMethod::ClientCredentials);
        data[*key] = encode_base64(value).into();
        world.apply_secret("acme", &data);
        check_contained(&world, n, words).await;
    }
    world.apply_credentials(&acme, "acme");
    world.wait_for_connection("acme", |s| s.last_sync.is_some()).await;
}

#[tokio::test(start_paused = true)]
async fn long_names_and_annotations_are_shortened_before_they_become_part_of_a_status() {
    let world = SimEnv::with_operator();
    world.connect_enterprise("globex", 20);
    // In JSON, each of these characters takes six bytes.
    let long = "\u{1}".repeat(100_000);
    let config = EnterpriseConfig::new("4000").name(&*long).users(10).seed(7).auth(AuthMethod::ClientCredentials);
    let acme = world.box_sim.add_enterprise(config);
    world.apply_credentials(&acme, "acme");
    world.apply_connection("acme", "4000", &json!({}));
    world.wait_for_connection("acme", |s| s.last_sync.is_some()).await;
    sleep_secs(60).await;
    for annotation in ["boxsync.dev/requested-at", "boxsync.dev/requested-by"] {
        world.edit_connection("acme", |c| c["metadata"]["annotations"][annotation] = format!("x{long}").into());
    }
    world.wait_for_connection("acme", |s| s.last_handled_request.is_some()).await;
    let listings = crate::env::count_listings(&acme);
    sleep_secs(3600).await;
    assert_eq!(crate::env::count_listings(&acme), listings, "the shortened annotation counts as a new one");
    for kind in ["BoxConnection", "UserRoster"] {
        let mut object = world.kube.get(kind, NAMESPACE, "acme").expect("an object");
        object["metadata"]["annotations"] = Value::Null;
        let text = object.to_string();
        assert!(text.len() < MAX_STATUS_BYTES && !text.contains("u0001"), "{kind} has {} bytes", text.len());
    }
    world.create_request("r", "globex");
    assert!(request_succeeded(&world.wait_until_finished("r").await));
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_too_large_is_not_tried_twice_in_a_row() {
    let mut world = SimEnv::new();
    world.connect_enterprise("acme", 20);
    let writes_acme = |call: &kube_sim::Call| {
        call.matches(Verb::Update, "boxconnections/status") && call.name.as_deref() == Some("acme")
    };
    world.kube.fail_next(usize::MAX, writes_acme, Fault::Before(FaultAction::Status(413)));
    world.spawn_operator();
    world.connect_enterprise("globex", 20);
    world.wait_for_connection("globex", |s| s.last_sync.is_some()).await;
    let mark = world.kube.log_position();
    sleep_secs(3600).await;
    let requests = world.kube.requests_since(mark);
    let refused = requests.iter().filter(|request| writes_acme(request)).count();
    assert!((1..=60).contains(&refused), "{refused} writes in an hour");
    world.kube.clear_faults();
    world.wait_for_connection("acme", |s| s.last_sync.is_some()).await;
}
