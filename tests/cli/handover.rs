//! `handover`: the letter as it is printed. All its texts, by reason and method, are in `src/cli/letters.txt`.

use serde_json::{Value, json};

use crate::town::{NAMESPACE, Town, condition, ready};

fn lost(reason: &str) -> Value {
    let mut status = ready(1200);
    status["conditions"] = json!([
        condition("Ready", "False", reason, "See the condition Connected."),
        condition("Connected", "False", reason, "Box says no to AutomationUser_17@boxdevedition.com."),
    ]);
    status["enterprise"] = json!({ "id": "1001", "name": "Acme" });
    status["account"] = json!({ "id": "17", "login": "planted@acme.com", "name": "Planted" });
    status["app"] = json!({ "clientId": "app-17", "authType": "clientCredentials" });
    status
}

#[tokio::test(start_paused = true)]
async fn what_the_box_admin_has_to_do_is_a_letter_that_can_be_sent_as_it_is() {
    let town = Town::new();
    town.connection("acme");
    town.tell("acme", lost("AppNotAuthorized"));
    let said = town.ask("handover acme").await;
    assert_eq!(
        said.out,
        "\
Subject: Box enterprise 1001: please authorize our app

Hello,

We keep a copy of the list of users of your Box enterprise 1001 (Acme). For
that the app with client id app-17 signs in to Box by itself (Server
Authentication, client credentials), reads the list of users, and changes
nothing in Box. It needs the application scope \"Manage users\" and, under App
Access Level, \"App + Enterprise Access\".

What is wrong since 2026-11-22 10:00Z: A Box admin has to authorize the app.

What we ask you to do:
  1. Open the Admin Console (https://app.box.com/master) > Integrations >
     Platform Apps Manager > Server Authentication Apps.
  2. If the app is not in the table, choose Add App and enter the client id
     app-17.
  3. See that it asks for the application scope \"Manage users\" and, under App
     Access Level, \"App + Enterprise Access\", and choose Authorize. If it is
     in the table already, choose Reauthorize App in its menu.

What happens meanwhile: our list of 2026-11-22 09:00Z with 1,200 users stays
and counts as fresh until 2026-11-24 09:00Z. Nothing is deleted, neither in
Box nor here.

Afterwards you need not tell us: it is noticed within 15 minutes.

There is no password and no key in this letter. Please send us none by mail
either.
"
    );
    assert_eq!((said.err.as_str(), said.code), ("", 0));
}

#[tokio::test(start_paused = true)]
async fn no_letter_names_a_user_or_a_secret() {
    let town = Town::new();
    town.connection("acme");
    town.kube
        .create(json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "box", "namespace": NAMESPACE },
        "stringData": { "clientId": "app-17", "clientSecret": "planted" } }));
    for reason in ["AppNotAuthorized", "CredentialsRejected", "AccessBlocked", "RateLimited"] {
        let mut status = lost(reason);
        for app in [status["app"].clone(), Value::Null] {
            status["app"] = app;
            town.tell("acme", status.clone());
            let said = town.ask("handover acme").await;
            assert!(
                !said.out.to_lowercase().contains("planted") && !said.out.contains("AutomationUser"),
                "{}",
                said.out
            );
            assert!(said.out.contains("the app with client id app-17") && said.code == 0, "{}", said.out);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_wrong_in_box_the_letter_says_what_the_app_does_and_needs() {
    let town = Town::new();
    town.connection("newcomer");
    town.kube.forbid(|call| call.resource == "secrets");
    let said = town.ask("handover newcomer").await;
    let letter = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(letter.contains("please authorize our app") && letter.contains("No list has been read yet"), "{letter}");
    assert!(letter.contains("the app whose client id we send you separately"), "{letter}");
    assert_eq!(
        said.err,
        "note: nothing is known to be wrong. The letter asks for what the app needs from the beginning.\n"
    );

    town.ready("acme", 3);
    let said = town.ask("handover acme").await;
    assert!(said.out.contains("You need not do anything now."), "{said:?}");
}
