//! Flags that select cluster and user.

use serde_json::json;

use super::{Comparison, Fails, Lists};

#[tokio::test]
async fn flags_mean_what_they_mean_to_kubectl() {
    let mut both = Comparison::new("flags").await;
    let url = both.plane.url();
    let [_, second] = both.namespaces.clone();
    let mut config = both.kubeconfig(&both.cluster(), &both.user());
    let entries = |key: &str| config[key].as_array().cloned().unwrap_or_default();
    let (mut clusters, mut users) = (entries("clusters"), entries("users"));
    clusters.push(
        json!({"name": "down", "cluster": {"server": "https://127.0.0.1:1", "certificate-authority-data": both.ca}}),
    );
    users.push(json!({"name": "nobody", "user": {"token": "x"}}));
    (config["clusters"], config["users"]) = (json!(clusters), json!(users));
    let good = both.write("good", config.to_string());
    config["contexts"][0]["context"]["cluster"] = json!("down");
    config["contexts"][0]["context"]["user"] = json!("nobody");
    let wrong = both.write("wrong", config.to_string());
    let ca = both.write("ca.crt", both.ca_pem());
    let token = both.token.clone();

    for (case, file, flags, expected) in [
        ("--context", &good, vec!["--context", "second"], Lists("two")),
        ("--context that is missing", &good, vec!["--context", "none"], Fails("has no context \"none\"")),
        ("--namespace", &good, vec!["--namespace", &second], Lists("two")),
        ("-n", &good, vec!["-n", &second], Lists("two")),
        ("the wrong cluster and user", &wrong, vec![], Fails("onnection refused")),
        ("--cluster and --user", &wrong, vec!["--cluster", "c", "--user", "u"], Lists("one")),
        ("--cluster", &wrong, vec!["--cluster=c"], Fails("rejected your credentials")),
        ("--cluster that is missing", &good, vec!["--cluster=none"], Fails("has no cluster \"none\"")),
        ("--user that is missing", &good, vec!["--user=none"], Fails("has no user \"none\"")),
        ("--server", &wrong, vec!["--server", &url, "--user=u"], Lists("one")),
        ("-s", &wrong, vec!["-s", &url, "--user=u"], Lists("one")),
        ("--token", &wrong, vec!["--cluster=c", "--token", &token], Lists("one")),
        ("--token that is wrong", &good, vec!["--token=x"], Fails("rejected your credentials")),
        ("--insecure-skip-tls-verify", &good, vec!["--insecure-skip-tls-verify"], Lists("one")),
        ("--insecure-skip-tls-verify=false", &good, vec!["--insecure-skip-tls-verify=false"], Lists("one")),
        ("--certificate-authority", &good, vec!["--certificate-authority", &ca], Lists("one")),
        (
            "--certificate-authority without a file",
            &good,
            vec!["--certificate-authority=/missing"],
            Fails("/missing cannot be read"),
        ),
        ("--tls-server-name", &good, vec!["--tls-server-name=kubernetes.default"], Lists("one")),
        ("--tls-server-name of another", &good, vec!["--tls-server-name=other.test"], Fails("other.test")),
        ("--as", &good, vec!["--as=nobody"], Fails("not allowed")),
        ("--as and --as-group", &good, vec!["--as=me", "--as-group=a", "--as-group", "system:masters"], Lists("one")),
        ("--as-uid", &good, vec!["--as=me", "--as-uid=1", "--as-group=system:masters"], Lists("one")),
        ("--as-group alone", &good, vec!["--as-group=system:masters"], Fails("add --as")),
        ("--request-timeout in seconds", &good, vec!["--request-timeout", "30"], Lists("one")),
        ("--request-timeout of none", &good, vec!["--request-timeout=0"], Lists("one")),
        ("--request-timeout with a unit", &good, vec!["--request-timeout=1m"], Lists("one")),
        ("--request-timeout of no time", &good, vec!["--request-timeout=soon"], Fails("not a duration")),
    ] {
        both.compare(case, &[("KUBECONFIG", file)], &flags, expected).await;
    }
    let flags = ["--server", &url, "--token", &token, "--certificate-authority", &ca, "-n", &second];
    both.compare("flags without a kubeconfig", &[], &flags, Lists("two")).await;
    both.finish();
}
