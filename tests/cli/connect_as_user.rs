//! `connect --user-id`: an app that acts as a user.

use box_sim::{AuthMethod, KeyFormat};

use crate::{env::NAMESPACE, oauth_env::ConnectEnv};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_acts_as_a_user_is_verified_as_that_user() {
    let env = ConnectEnv::new(AuthMethod::Jwt).await;
    let file = env.enterprise.config_json(KeyFormat::Pkcs8TripleDes).expect("a file");
    let admin = env.enterprise.users().into_iter().find(|user| user.role == "admin").expect("an admin");
    let line =
        format!("connect acme --method jwt --enterprise-id 1001 --user-id {} --config - --yes --no-sync", admin.id);
    let refused = env.run_with_input(&file, &line).await;
    assert!(refused.code == 1 && refused.err.contains("Generate user access tokens"), "{}", refused.err);
    assert!(env.secret_data().is_empty() && env.cli.kube.list("BoxConnection").is_empty());

    env.enterprise.allow_user_tokens();
    let output = env.run_with_input(&file, &line).await;
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(output.out.contains(&format!("Box: {} of enterprise", admin.login)), "{}", output.out);
    let connection = env.cli.kube.get("BoxConnection", NAMESPACE, "acme").expect("a connection");
    assert_eq!(connection["spec"]["auth"]["jwt"]["userId"], admin.id.to_string());

    let other = env.run_with_input(&file, "connect acme --user-id 42 --config - --no-sync").await;
    assert!(other.code == 64 && other.err.contains(&format!("has userId {}", admin.id)), "{}", other.err);
    let oauth = "connect new --method oauth2 --enterprise-id 1001 --user-id 42 --client-id c";
    let oauth = env.run_with_input("", oauth).await;
    assert!(oauth.code == 64 && oauth.err.contains("--user-id does not apply"), "{}", oauth.err);
}
