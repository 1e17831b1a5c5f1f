//! Certificates of servers and of users.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{Comparison, Expected, Fails, Lists, network::Endpoint};

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("certificates/", $name)).as_slice()
    };
}

pub(super) const SERVER: &[u8] = file!("p256.pem");
pub(super) const SERVER_CA: &[u8] = file!("ca-p256.crt");

/// Name, identity of the server, and the bundle of the kubeconfig.
type ServerCase<'a> = (&'a str, &'a [u8], Vec<&'a [u8]>, Expected<'a>);

fn bundle(parts: &[&[u8]]) -> String {
    STANDARD.encode(parts.concat())
}

#[tokio::test]
async fn the_plugin_accepts_the_server_certificates_that_kubectl_accepts() {
    let mut both = Comparison::new("certificates").await;
    let api_ca = both.ca_pem();
    let other: &[u8] = file!("ca-ed25519.crt");
    let broken: &[u8] = b"# a comment\n-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let cases: Vec<ServerCase<'_>> = vec![
        ("P-256", SERVER, vec![SERVER_CA], Lists("one")),
        ("P-256 signed with SHA-512", file!("p256-sha512.pem"), vec![SERVER_CA], Lists("one")),
        (
            "P-384 signed by P-256 with SHA-512",
            file!("p384-sha512.pem"),
            vec![file!("ca-p256-sha512.crt")],
            Lists("one"),
        ),
        ("P-521 signed by P-521", file!("p521.pem"), vec![file!("ca-p521.crt")], Lists("one")),
        ("P-521 signed with SHA-256", file!("p521-sha256.pem"), vec![SERVER_CA], Lists("one")),
        ("Ed25519", file!("ed25519.pem"), vec![other], Lists("one")),
        ("RSA 4096", file!("rsa4096.pem"), vec![file!("ca-rsa.crt")], Lists("one")),
        ("an intermediate", file!("below-intermediate.pem"), vec![file!("ca-rsa.crt")], Lists("one")),
        ("several certificates", SERVER, vec![other, file!("ca-rsa.crt"), SERVER_CA], Lists("one")),
        ("a broken certificate in the bundle", SERVER, vec![broken, SERVER_CA], Lists("one")),
        ("the certificate itself", SERVER, vec![file!("p256.crt")], Lists("one")),
        ("a self-signed CA's certificate", file!("self.pem"), vec![file!("self.crt")], Lists("one")),
        ("a CA's certificate", file!("ca-as-server.pem"), vec![SERVER_CA], Lists("one")),
        (
            "a CA's certificate below an intermediate",
            file!("ca-below-intermediate.pem"),
            vec![file!("ca-rsa.crt")],
            Lists("one"),
        ),
        (
            "another CA",
            SERVER,
            vec![file!("ca-rsa.crt")],
            Fails("not accepted: no certificate-authority of the kubeconfig"),
        ),
        (
            "a self-signed CA's certificate that is not trusted",
            file!("self.pem"),
            vec![SERVER_CA],
            Fails("not accepted: it is a CA certificate"),
        ),
        (
            "a CA's certificate of another CA",
            file!("ca-as-server.pem"),
            vec![file!("ca-rsa.crt")],
            Fails("not accepted: it is a CA certificate"),
        ),
        (
            "SHA-1",
            file!("sha1.pem"),
            vec![SERVER_CA],
            Fails("not accepted: it is signed by an algorithm that is not supported"),
        ),
        ("expired", file!("expired.pem"), vec![SERVER_CA], Fails("not accepted: certificate expired")),
        ("expired, and trusted itself", file!("expired.pem"), vec![file!("expired.pem")], Fails("not accepted: ")),
        (
            "another name",
            file!("other-name.pem"),
            vec![SERVER_CA],
            Fails("not accepted: certificate not valid for name"),
        ),
    ];
    for (case, identity, ca, expected) in cases {
        let server = Endpoint::tls_server(&both.plane.url(), &api_ca, identity, &[]).await;
        let cluster =
            json!({"server": format!("https://{}", server.address), "certificate-authority-data": bundle(&ca)});
        let file = both.write_kubeconfig("kubeconfig", &cluster, &both.user());
        both.compare(case, &[("KUBECONFIG", &file)], &[], expected).await;
    }
    let server = Endpoint::tls_server(&both.plane.url(), &api_ca, file!("other-name.pem"), &[]).await;
    let cluster =
        json!({"server": format!("https://{}", server.address), "certificate-authority-data": bundle(&[SERVER_CA])});
    let file = both.write_kubeconfig("kubeconfig", &cluster, &both.user());
    let flags = ["--tls-server-name", "other.test"];
    both.compare("--tls-server-name", &[("KUBECONFIG", &file)], &flags, Lists("one")).await;
    // The trust of the system.
    let server = Endpoint::tls_server(&both.plane.url(), &api_ca, file!("p521.pem"), &[]).await;
    let cluster = json!({"server": format!("https://{}", server.address)});
    let file = both.write_kubeconfig("kubeconfig", &cluster, &both.user());
    let ca = both.write("system.crt", file!("ca-p521.crt"));
    both.compare("SSL_CERT_FILE", &[("KUBECONFIG", &file), ("SSL_CERT_FILE", &ca)], &[], Lists("one")).await;
    both.finish();
}

#[tokio::test]
async fn the_plugin_takes_the_client_certificates_that_kubectl_takes() {
    let mut both = Comparison::new("client certificates").await;
    let authorities: &[&[u8]] = &[SERVER_CA, file!("ca-p521.crt")];
    let server = Endpoint::tls_server(&both.plane.url(), &both.ca_pem(), SERVER, authorities).await;
    let cluster =
        json!({"server": format!("https://{}", server.address), "certificate-authority-data": bundle(&[SERVER_CA])});
    let cases: Vec<(&str, &[u8], &[u8], Expected<'_>)> = vec![
        ("RSA, PKCS#8", file!("client-rsa.crt"), file!("client-rsa.key"), Lists("one")),
        ("RSA, PKCS#1", file!("client-rsa.crt"), file!("client-rsa-pkcs1.key"), Lists("one")),
        ("P-256, PKCS#8", file!("client-p256.crt"), file!("client-p256.key"), Lists("one")),
        ("P-256, SEC 1 after its parameters", file!("client-p256.crt"), file!("client-p256-sec1.key"), Lists("one")),
        ("P-521", file!("client-p521.crt"), file!("client-p521.key"), Lists("one")),
        ("Ed25519", file!("client-ed25519.crt"), file!("client-ed25519.key"), Lists("one")),
        (
            "an encrypted key",
            file!("client-p256.crt"),
            file!("client-p256-encrypted.key"),
            Fails("its key is encrypted"),
        ),
        (
            "the key of another",
            file!("client-p256.crt"),
            file!("client-rsa.key"),
            Fails("does not belong to the certificate"),
        ),
        ("no certificate", b"x", file!("client-rsa.key"), Fails("it holds no certificate")),
        ("no key", file!("client-rsa.crt"), b"x", Fails("it holds no private key")),
    ];
    let user = |certificate: &[u8], key: &[u8]| -> Value {
        json!({
            "token": both.token,
            "client-certificate-data": STANDARD.encode(certificate),
            "client-key-data": STANDARD.encode(key),
        })
    };
    let users: Vec<_> =
        cases.into_iter().map(|(case, cert, key, expected)| (case, user(cert, key), expected)).collect();
    for (case, user, expected) in users {
        let file = both.write_kubeconfig("kubeconfig", &cluster, &user);
        both.compare(case, &[("KUBECONFIG", &file)], &[], expected).await;
    }
    let file = both.write_kubeconfig("kubeconfig", &cluster, &both.user());
    both.compare("none", &[("KUBECONFIG", &file)], &[], Fails("CertificateRequired")).await;
    let certificate = both.write("user.crt", file!("client-p521.crt"));
    let key = both.write("user.key", file!("client-p521.key"));
    let flags = ["--client-certificate", &certificate, "--client-key", &key];
    both.compare("flags", &[("KUBECONFIG", &file)], &flags, Lists("one")).await;
    // From a plugin.
    let credential = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {
            "token": both.token,
            "clientCertificateData": String::from_utf8_lossy(file!("client-p521.crt")),
            "clientKeyData": String::from_utf8_lossy(file!("client-p521.key")),
        },
    });
    let credential = both.write("credential", credential.to_string());
    let exec = json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "cat",
        "args": [credential],
        "interactiveMode": "Never",
    }});
    let file = both.write_kubeconfig("kubeconfig", &cluster, &exec);
    both.compare("of a credential plugin", &[("KUBECONFIG", &file)], &[], Lists("one")).await;
    both.finish();
}
