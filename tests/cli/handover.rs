//! `handover`: the printed email. All its texts, by reason and method, are in `tests/snapshots/letters.txt`.

use serde_json::{Value, json};

use crate::env::{CliEnv, NAMESPACE, condition_json, ready_status};

fn disconnected_status(reason: &str) -> Value {
    let mut status = ready_status(1200);
    status["conditions"] = json!([
        condition_json("Ready", "False", reason, "See the condition Connected."),
        condition_json("Connected", "False", reason, "Box says no to AutomationUser_17@boxdevedition.com."),
    ]);
    status["enterprise"] = json!({ "id": "1001", "name": "Acme" });
    status["account"] = json!({ "id": "17", "login": "planted@acme.com", "name": "Planted" });
    status["app"] = json!({ "clientId": "app-17", "authType": "clientCredentials" });
    status
}

#[tokio::test(start_paused = true)]
async fn handover_prints_an_email_for_the_box_admin() {
    let env = CliEnv::new();
    env.create_connection("acme");
    env.set_status("acme", disconnected_status("AppNotAuthorized"));
    let output = env.run("handover acme").await;
    assert_eq!(
        output.out,
        "\
Subject: Box enterprise 1001: please authorize our app

Hello,

We keep a copy of the user list of your Box enterprise 1001 (Acme). To do so,
the app with client id app-17 signs in to Box by itself (Server
Authentication, client credentials) and only reads the list of users. It needs
the application scope \"Manage users\" and, under App Access Level, \"App +
Enterprise Access\".

Problem since 2026-11-22 10:00Z: A Box admin must authorize the app.

What we ask you to do:
  1. Open the Admin Console (https://app.box.com/master) > Integrations >
     Platform Apps Manager > Server Authentication Apps.
  2. If the app is not in the table, choose Add App and enter the client id
     app-17.
  3. Check that it requests the application scope \"Manage users\" and, under
     App Access Level, \"App + Enterprise Access\", and choose Authorize. If it
     is in the table already, choose Reauthorize App in its menu.

Until then, our list of 2026-11-22 09:00Z with 1,200 users stays and counts as
fresh until 2026-11-24 09:00Z. Nothing is deleted, in Box or here.

No reply needed: we detect it within 15 minutes.

This email contains no password or key. Please do not send any by email.
"
    );
    assert_eq!((output.err.as_str(), output.code), ("", 0));
}

#[tokio::test(start_paused = true)]
async fn no_email_contains_a_user_or_a_secret() {
    let env = CliEnv::new();
    env.create_connection("acme");
    env.kube
        .create(json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "box", "namespace": NAMESPACE },
        "stringData": { "clientId": "app-17", "clientSecret": "planted" } }));
    for reason in ["AppNotAuthorized", "CredentialsRejected", "AccessBlocked", "RateLimited"] {
        let mut status = disconnected_status(reason);
        for app in [status["app"].clone(), Value::Null] {
            status["app"] = app;
            env.set_status("acme", status.clone());
            let output = env.run("handover acme").await;
            assert!(
                !output.out.to_lowercase().contains("planted") && !output.out.contains("AutomationUser"),
                "{}",
                output.out
            );
            assert!(output.out.contains("the app with client id app-17") && output.code == 0, "{}", output.out);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_failure_the_email_explains_what_the_app_does_and_needs() {
    let env = CliEnv::new();
    env.create_connection("newcomer");
    env.kube.forbid(|call| call.resource == "secrets");
    let output = env.run("handover newcomer").await;
    let email = output.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(email.contains("please authorize our app") && email.contains("No list has been read yet"), "{email}");
    assert!(email.contains("the app whose client id we send you separately"), "{email}");
    assert_eq!(output.err, "note: no problem in Box is known. The email describes the initial setup.\n");

    env.create_ready_connection("acme", 3);
    let output = env.run("handover acme").await;
    assert!(output.out.contains("No action is needed now."), "{output:?}");
}

#[tokio::test(start_paused = true)]
async fn while_removals_are_held_the_letter_asks_whether_these_users_left() {
    let env = CliEnv::with_held_users(300, 130).await;
    env.kube.edit("BoxConnection", NAMESPACE, "acme", |c| {
        c["status"]["app"] = json!({ "clientId": "app-17", "authType": "clientCredentials" })
    });
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let output = env.run("handover acme").await;
    assert!(output.out.starts_with("Subject: Box enterprise 1001: did 130 users leave?\n\nHello,\n"), "{}", output.out);
    assert_eq!(output.out.matches("  user").count(), 100);
    for words in [
        "130 of the 300 users in our list are missing: Box has not listed them to our app since 2026-11-22 12:00Z.",
        "please answer: \"remove them\"",
        "The users: user0@acme.com (User, id 2000) user1@acme.com (User, id 2001)",
        "and 30 more, whom we name on request",
    ] {
        assert!(flat(&output.out).contains(words), "{words}: {}", output.out);
    }
    assert!(!output.out.contains("kubectl"), "{}", output.out);
    assert!(output.err.contains("kubectl boxsync approve acme -n backup") && output.code == 0, "{output:?}");

    // A failed sign-in is fixed first.
    let healthy = env.kube.object::<boxsync::api::BoxConnection>(NAMESPACE, "acme").expect("a connection").status;
    let mut status = disconnected_status("AppNotAuthorized");
    status["held"] = serde_json::to_value(healthy.clone().expect("a status").held).expect("JSON");
    env.set_status("acme", status);
    let output = env.run("handover acme").await;
    assert!(
        output.out.contains("please authorize our app") && output.err.contains("removals are held, too"),
        "{output:?}"
    );
    env.set_status("acme", serde_json::to_value(healthy).expect("JSON"));

    // Without names, it asks by the number.
    env.kube.forbid(|call| call.resource == "userslices" && call.user == "alice");
    let output = env.run("handover acme").await;
    assert!(
        output.err.contains("note: the letter names nobody, because the list cannot be read: you are not allowed"),
        "{output:?}"
    );
    assert!(
        flat(&output.out).contains("check whether about 130 users were deleted") && !output.out.contains("user0@"),
        "{output:?}"
    );
    env.kube.delete("UserRoster", NAMESPACE, "acme");
    let output = env.run("handover acme").await;
    assert!(flat(&output.out).contains("check whether about 130 users were deleted") && output.code == 0, "{output:?}");
}
