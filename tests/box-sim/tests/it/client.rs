//! A minimal client of the in-process router.

use axum::{Router, body::Body};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use box_sim::{AuthMethod, BoxSim, Clock, Enterprise, EnterpriseConfig, KeyFormat, KeyPair, PASSPHRASE, clock};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use ring::{rand::SystemRandom, rsa::KeyPair as RsaKeyPair, signature::RSA_PKCS1_SHA256};
use serde_json::{Value, json};
use tower::ServiceExt;

pub(crate) const START: &str = "2026-11-22T10:00:00Z";

pub(crate) fn start_time() -> Timestamp {
    START.parse().expect("a timestamp")
}

/// A fixed clock.
pub(crate) fn frozen_clock() -> Clock {
    std::sync::Arc::new(start_time)
}

pub(crate) struct TestResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl TestResponse {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|why| panic!("{why} in {}", String::from_utf8_lossy(&self.body)))
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers)).to_str().expect("text")
    }

    /// A string member of a JSON body.
    pub(crate) fn string_field(&self, name: &str) -> Option<String> {
        Some(serde_json::from_slice::<Value>(&self.body).ok()?[name].as_str()?.to_owned())
    }

    /// The body without a member that differs in every response.
    pub(crate) fn body_without(&self, name: &str) -> String {
        let body = String::from_utf8_lossy(&self.body).into_owned();
        match self.string_field(name) {
            Some(value) => body.replace(&value, ""),
            None => body,
        }
    }

    pub(crate) fn ids(&self) -> Vec<u64> {
        entries(&self.json()).iter().map(|user| user["id"].as_str().expect("an id").parse().expect("digits")).collect()
    }
}

pub(crate) fn entries(page: &Value) -> Vec<Value> {
    page["entries"].as_array().cloned().unwrap_or_default()
}

/// A simulated Box with one enterprise, and its router.
pub(crate) struct TestEnv {
    pub(crate) sim: BoxSim,
    pub(crate) enterprise: Enterprise,
    router: Router,
}

pub(crate) fn env(users: usize) -> TestEnv {
    env_with(EnterpriseConfig::new("1001").name("Acme").users(users), clock::tokio_clock(start_time()))
}

pub(crate) fn env_with(spec: EnterpriseConfig, clock: Clock) -> TestEnv {
    let sim = BoxSim::new(clock);
    let enterprise = sim.add_enterprise(spec);
    TestEnv::new(sim, enterprise)
}

pub(crate) fn jwt_env() -> TestEnv {
    env_with(
        EnterpriseConfig::new("1002").name("Globex").users(5).auth(AuthMethod::Jwt),
        clock::tokio_clock(start_time()),
    )
}

impl TestEnv {
    pub(crate) fn new(sim: BoxSim, it: Enterprise) -> Self {
        Self { router: sim.router(), sim, enterprise: it }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> TestResponse {
        let response = self.router.clone().oneshot(request).await.expect("a router always answers");
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes().to_vec();
        TestResponse { status: head.status, headers: head.headers, body }
    }

    pub(crate) async fn send_raw(&self, request: Request<Body>) -> http::Response<Body> {
        self.router.clone().oneshot(request).await.expect("a router always answers")
    }

    pub(crate) async fn post_token(&self, form: &[(&str, &str)]) -> TestResponse {
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::post("/oauth2/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(body));
        self.send(request.expect("a request")).await
    }

    pub(crate) async fn request_client_credentials(&self) -> TestResponse {
        self.request_client_credentials_with(&self.enterprise.client_secret(), self.enterprise.id()).await
    }

    pub(crate) async fn request_client_credentials_with(&self, secret: &str, subject: &str) -> TestResponse {
        let client_id = self.enterprise.client_id();
        self.post_token(&[
            ("grant_type", "client_credentials"),
            ("client_id", &client_id),
            ("client_secret", secret),
            ("box_subject_type", "enterprise"),
            ("box_subject_id", subject),
        ])
        .await
    }

    pub(crate) async fn fetch_access_token(&self) -> String {
        let response = self.request_client_credentials().await;
        response.json()["access_token"].as_str().unwrap_or_else(|| panic!("no token in {}", response.json())).to_owned()
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> TestResponse {
        self.send(get_request(token, path)).await
    }

    /// A page of users with a new token.
    pub(crate) async fn get_users(&self, query: &str) -> TestResponse {
        self.get(&self.fetch_access_token().await, &format!("/2.0/users?{query}")).await
    }

    /// The pages of a listing, at most `pages`.
    pub(crate) async fn list_pages(&self, query: &str, pages: usize) -> Vec<Value> {
        let token = self.fetch_access_token().await;
        let (mut pages_read, mut marker) = (Vec::new(), String::new());
        while pages_read.len() < pages {
            let response = self.get(&token, &format!("/2.0/users?usemarker=true&{query}{marker}")).await;
            assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
            let page = response.json();
            let next = page["next_marker"].as_str().unwrap_or_default().to_owned();
            pages_read.push(page);
            if next.is_empty() {
                break;
            }
            marker = format!("&marker={}", form_urlencoded::byte_serialize(next.as_bytes()).collect::<String>());
        }
        pages_read
    }

    /// The number of pages and bytes of a complete listing; parses only the marker.
    pub(crate) async fn count_pages(&self, query: &str) -> (usize, usize) {
        let token = self.fetch_access_token().await;
        let (mut pages, mut bytes, mut marker) = (0, 0, String::new());
        loop {
            let response = self.get(&token, &format!("/2.0/users?usemarker=true&{query}{marker}")).await;
            (pages, bytes) = (pages + 1, bytes + response.body.len());
            let tail = String::from_utf8_lossy(&response.body[response.body.len().saturating_sub(200)..]).into_owned();
            let Some((_, next)) = tail.split_once(r#""next_marker":""#) else { return (pages, bytes) };
            marker = format!("&marker={}", next.trim_end_matches(['}', '"']).replace('=', "%3D"));
        }
    }

    pub(crate) async fn admin(&self, method: &str, path: &str, body: Value) -> TestResponse {
        let request =
            Request::builder().method(method).uri(format!("/admin{path}")).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).expect("a request")).await
    }
}

pub(crate) fn get_request(token: &str, path: &str) -> Request<Body> {
    // SDKs send this header with every GET.
    let request = Request::get(path)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json");
    request.body(Body::empty()).expect("a request")
}

/// The default claims of an assertion.
pub(crate) fn claims(env: &TestEnv, jti: &str) -> Value {
    json!({
        "iss": env.enterprise.client_id(),
        "sub": env.enterprise.id(),
        "box_sub_type": "enterprise",
        "aud": "https://api.box.com/oauth2/token",
        "jti": jti,
        "exp": env.sim.now().as_second() + 45,
    })
}

pub(crate) fn key_id(env: &TestEnv) -> Value {
    let file: Value =
        serde_json::from_str(&env.enterprise.config_json(KeyFormat::Pkcs8TripleDes).expect("a JWT app")).expect("JSON");
    file["boxAppSettings"]["appAuth"]["publicKeyID"].clone()
}

pub(crate) fn sign_assertion(pair: KeyPair, header: &Value, claims: &Value) -> String {
    let (_, encrypted) = SecretDocument::from_pem(pair.private_pem(KeyFormat::Pkcs8TripleDes)).expect("PEM");
    let key = EncryptedPrivateKeyInfoRef::try_from(encrypted.as_bytes())
        .expect("PKCS#8")
        .decrypt(PASSPHRASE)
        .expect("the passphrase");
    let key = RsaKeyPair::from_pkcs8(key.as_bytes()).expect("an RSA key");
    let message =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).expect("a signature");
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

impl TestEnv {
    pub(crate) async fn exchange_assertion(&self, assertion: &str) -> TestResponse {
        let (client_id, secret) = (self.enterprise.client_id(), self.enterprise.client_secret());
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("client_id", &*client_id),
            ("client_secret", &*secret),
            ("assertion", assertion),
        ];
        self.post_token(&form).await
    }
}
