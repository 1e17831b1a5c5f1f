//! Which kubeconfig files count, and what they may say.

use serde_json::json;

use super::{Comparison, Fails, Lists, PLANTED};

#[tokio::test]
async fn the_plugin_reads_the_kubeconfigs_that_kubectl_reads() {
    let mut both = Comparison::new("kubeconfigs").await;
    let good = both.write_kubeconfig("good", &both.cluster(), &both.user());
    let mut second = both.kubeconfig(&both.cluster(), &both.user());
    second["current-context"] = json!("second");
    let second = both.write("second", second.to_string());
    let mut without_context = both.kubeconfig(&json!({"server": "https://127.0.0.1:1"}), &json!({"token": "x"}));
    without_context["current-context"] = json!("");
    without_context["contexts"] = json!(null);
    without_context["clusters"] = json!([]);
    without_context["users"] = json!(null);
    let without_context = both.write("without-context", without_context.to_string());
    let empty = both.write("empty", "");
    let malformed = both.write("malformed", format!("users:\n- name: u\n  user: {{token: [{PLANTED}\n"));
    let wrong_type = both.write("wrong-type", format!("users: [{{name: u, user: {{token: [{PLANTED}]}}}}]\n"));
    let home = both.folder.join("home");
    both.write("home/.kube/config", both.kubeconfig(&both.cluster(), &both.user()).to_string());
    let home = home.to_string_lossy().into_owned();
    let folder = both.folder.to_string_lossy().into_owned();
    let utf16: Vec<u8> = format!("\u{feff}{}", both.kubeconfig(&both.cluster(), &both.user()))
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let utf16 = both.write("utf16", utf16);

    for (case, files, expected) in [
        ("one file", vec![&*good], Lists("one")),
        ("another file", vec![&*second], Lists("two")),
        ("a missing file after it", vec![&*good, "/missing"], Lists("one")),
        ("a missing file before it", vec!["/missing", &*good], Lists("one")),
        ("the current-context of the first file counts", vec![&*second, &*good], Lists("two")),
        ("an empty current-context counts not", vec![&*without_context, &*good], Lists("one")),
        ("an empty file counts not", vec![&*empty, &*good], Lists("one")),
        ("the same file twice", vec![&*good, &*good], Lists("one")),
        ("UTF-16", vec![&*utf16], Lists("one")),
        ("an empty list element", vec!["", &*good, ""], Lists("one")),
        ("no file exists", vec!["/missing"], Fails("KUBECONFIG (missing: /missing) has no current-context")),
        ("an empty current-context", vec![&*without_context], Fails("without-context has no current-context")),
        ("an empty file", vec![&*empty], Fails("empty has no current-context")),
        ("malformed YAML", vec![&*malformed, &*good], Fails("malformed is not a kubeconfig")),
        (
            "a token that is a list",
            vec![&*wrong_type, &*good],
            Fails("wrong-type is not a kubeconfig: what stands in line 1"),
        ),
        ("a folder", vec![&*folder, &*good], Fails("cannot be read: Is a directory")),
    ] {
        both.compare(case, &[("KUBECONFIG", &files.join(":"))], &[], expected).await;
    }
    both.compare("the file in the home directory", &[("HOME", &home)], &[], Lists("one")).await;
    both.compare("an empty KUBECONFIG", &[("HOME", &home), ("KUBECONFIG", "")], &[], Lists("one")).await;
    both.compare("no kubeconfig", &[], &[], Fails("there is no kubeconfig")).await;
    both.compare("--kubeconfig", &[("KUBECONFIG", &second)], &["--kubeconfig", &good], Lists("one")).await;
    both.compare(
        "--kubeconfig that is missing",
        &[("KUBECONFIG", &good)],
        &["--kubeconfig=/missing"],
        Fails("/missing cannot be read"),
    )
    .await;
    // What a pod has: a wrong path must not lead to the cluster of the pod.
    let pod = [("KUBERNETES_SERVICE_HOST", "127.0.0.1"), ("KUBERNETES_SERVICE_PORT", "1"), ("KUBECONFIG", "/missing")];
    both.compare("a missing file in a pod", &pod, &[], Fails("KUBECONFIG (missing: /missing) has no current-context"))
        .await;
    both.finish();
}

#[tokio::test]
async fn the_plugin_takes_the_clusters_and_users_that_kubectl_takes() {
    let mut both = Comparison::new("clusters and users").await;
    let (cluster, user) = (both.cluster(), both.user());
    let url = both.plane.url();
    let ca = both.ca.clone();
    both.write("ca.crt", both.ca_pem());
    both.write("token", format!("{}\n", both.token));
    let ca_file = "ca.crt";
    for (case, cluster, user, expected) in [
        ("a relative CA file", json!({"server": url, "certificate-authority": ca_file}), user.clone(), Lists("one")),
        (
            "a missing CA file",
            json!({"server": url, "certificate-authority": "none.crt"}),
            user.clone(),
            Fails("none.crt cannot be read"),
        ),
        (
            "CA as file and data",
            json!({"server": url, "certificate-authority": ca_file, "certificate-authority-data": ca}),
            user.clone(),
            Fails("both certificate-authority and certificate-authority-data"),
        ),
        (
            "CA and insecure",
            json!({"server": url, "insecure-skip-tls-verify": true, "certificate-authority": ca_file}),
            user.clone(),
            Fails("both insecure-skip-tls-verify and a certificate-authority"),
        ),
        ("insecure", json!({"server": url, "insecure-skip-tls-verify": true}), user.clone(), Lists("one")),
        ("no CA", json!({"server": url}), user.clone(), Fails("the certificate of the server is not accepted")),
        (
            "CA data without a certificate",
            json!({"server": url, "certificate-authority-data": "eA=="}),
            user.clone(),
            Fails("holds no certificate"),
        ),
        (
            "CA data that is not base64",
            json!({"server": url, "certificate-authority-data": "%"}),
            user.clone(),
            Fails("certificate-authority-data is not base64"),
        ),
        (
            "another tls-server-name",
            json!({"server": url, "certificate-authority": ca_file, "tls-server-name": "other.test"}),
            user.clone(),
            Fails("other.test"),
        ),
        (
            "an address with a path",
            json!({"server": format!("{url}/"), "certificate-authority": ca_file}),
            user.clone(),
            Lists("one"),
        ),
        ("no server", json!({"certificate-authority": ca_file}), user.clone(), Fails("has no server")),
        (
            "a server that is down",
            json!({"server": "https://127.0.0.1:1", "certificate-authority": ca_file}),
            user.clone(),
            Fails("onnection refused"),
        ),
        (
            "an unknown host",
            json!({"server": "https://no.such.test", "certificate-authority": ca_file}),
            user.clone(),
            Fails("cannot be reached"),
        ),
        ("a token file", cluster.clone(), json!({"tokenFile": "token"}), Lists("one")),
        ("a token file wins over a token", cluster.clone(), json!({"tokenFile": "token", "token": "x"}), Lists("one")),
        ("a missing token file", cluster.clone(), json!({"tokenFile": "none"}), Fails("tokenFile: ")),
        ("a wrong token", cluster.clone(), json!({"token": PLANTED}), Fails("rejected your credentials")),
        ("no credentials", cluster.clone(), json!({}), Fails("rejected your credentials")),
        (
            "token and name",
            cluster.clone(),
            json!({"token": both.token, "username": "u", "password": PLANTED}),
            Fails("both a token and a username"),
        ),
        (
            "impersonation",
            cluster.clone(),
            json!({"token": both.token, "as": "u", "as-groups": ["system:masters"]}),
            Lists("one"),
        ),
        (
            "impersonation of nobody",
            cluster.clone(),
            json!({"token": both.token, "as": "nobody"}),
            Fails("not allowed"),
        ),
        (
            "impersonation with extra values",
            cluster.clone(),
            json!({"token": both.token, "as": "u", "as-groups": ["system:masters"], "as-user-extra": {"acme.example/Team x": ["a", "b"]}}),
            Lists("one"),
        ),
        (
            "an unknown auth provider",
            cluster.clone(),
            json!({"auth-provider": {"name": "gcp"}}),
            Fails("auth provider \"gcp\""),
        ),
        ("a certificate without key", cluster.clone(), json!({"client-certificate-data": ca}), Fails("no client-key")),
    ] {
        let file = both.write_kubeconfig("kubeconfig", &cluster, &user);
        both.compare(case, &[("KUBECONFIG", &file)], &[], expected).await;
    }
    // A context that names no cluster, or no user, or such that do not exist.
    for (case, context, expected) in [
        ("no user", json!({"cluster": "c", "namespace": both.namespaces[0]}), Fails("rejected your credentials")),
        ("no cluster", json!({"user": "u", "namespace": both.namespaces[0]}), Fails("has no server")),
        ("another cluster", json!({"cluster": "none", "user": "u"}), Fails("has no cluster \"none\"")),
    ] {
        let mut file = both.kubeconfig(&cluster, &user);
        file["contexts"][0]["context"] = context;
        let file = both.write("kubeconfig", file.to_string());
        both.compare(case, &[("KUBECONFIG", &file)], &[], expected).await;
    }
    both.finish();
}
