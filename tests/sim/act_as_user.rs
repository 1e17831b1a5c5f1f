//! Apps that act as a user of the enterprise instead of their service account.

use box_sim::{AuthMethod, Enterprise};
use serde_json::json;

use crate::{
    env::{SimEnv, format_condition},
    sign_in::{auth_method, secret_data},
};

const SERVER_METHODS: [AuthMethod; 2] = [AuthMethod::ClientCredentials, AuthMethod::Jwt];

/// An enterprise, and a connection whose app acts as this user.
fn connect_as(world: &SimEnv, auth: AuthMethod, user: impl Fn(&Enterprise) -> u64) -> (Enterprise, u64) {
    let acme = world.add_enterprise_with_auth("acme", 50, auth);
    acme.allow_user_tokens();
    let user = user(&acme);
    world.apply_secret("acme", &secret_data(&acme, auth));
    apply_connection_as(world, &acme, auth, user);
    (acme, user)
}

fn apply_connection_as(world: &SimEnv, acme: &Enterprise, auth: AuthMethod, user: u64) {
    let method = json!({ "secretRef": { "name": "acme-box" }, "userId": user.to_string() });
    world.apply_connection("acme", acme.id(), &json!({ "auth": { auth_method(auth): method } }));
}

fn user_with_role(enterprise: &Enterprise, role: &str) -> u64 {
    enterprise.users().iter().find(|user| user.role == role).expect("a user with this role").id
}

#[tokio::test(start_paused = true)]
async fn an_app_that_acts_as_an_admin_lists_the_enterprise() {
    for auth in SERVER_METHODS {
        let mut world = SimEnv::with_operator();
        let (_, admin) = connect_as(&world, auth, |acme| user_with_role(acme, "admin"));
        let status = world.wait_until_ready("acme").await;
        assert_eq!(status.users.expect("a list").total, 50);
        assert_eq!(status.account.expect("an account").id, admin.to_string());
        assert_eq!(status.credentials.expect("accepted").user_id, Some(admin.to_string()));
        world.kill_operator().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_who_may_not_list_users_is_told_what_is_missing() {
    for auth in SERVER_METHODS {
        let mut world = SimEnv::with_operator();
        let (acme, user) = connect_as(&world, auth, |acme| user_with_role(acme, "user"));
        world.wait_for_condition("acme", "Synced", "False PermissionDenied").await;
        let message = world.condition_message("acme", "Synced");
        let words = format!("User {user} must be an admin of enterprise {}, or a co-admin", acme.id());
        assert!(message.contains(&words), "{message}");
        apply_connection_as(&world, &acme, auth, user_with_role(&acme, "admin"));
        world.create_request("as-admin", "acme");
        let done = world.wait_until_finished("as-admin").await;
        assert_eq!(format_condition(&done.conditions, "Complete"), "True Synced", "another user is taken at once");
        world.kill_operator().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_without_the_right_to_user_tokens_is_told_to_switch_it_on() {
    for auth in SERVER_METHODS {
        let mut world = SimEnv::with_operator();
        let acme = world.add_enterprise_with_auth("acme", 50, auth);
        world.apply_secret("acme", &secret_data(&acme, auth));
        apply_connection_as(&world, &acme, auth, user_with_role(&acme, "admin"));
        world.wait_for_condition("acme", "Connected", "False AppNotAuthorized").await;
        let message = world.condition_message("acme", "Connected");
        assert!(message.contains("Generate user access tokens"), "{message}");
        acme.allow_user_tokens();
        world.wait_until_ready("acme").await;
        world.kill_operator().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_of_another_enterprise_is_refused() {
    let world = SimEnv::with_operator();
    let acme = world.add_enterprise_with_auth("acme", 50, AuthMethod::ClientCredentials);
    acme.allow_user_tokens();
    let user = user_with_role(&acme, "admin");
    world.apply_secret("other", &secret_data(&acme, AuthMethod::ClientCredentials));
    let method = json!({ "secretRef": { "name": "other-box" }, "userId": user.to_string() });
    world.apply_connection("other", "777", &json!({ "auth": { "clientCredentials": method } }));
    world.wait_for_condition("other", "Connected", "False EnterpriseMismatch").await;
    let message = world.condition_message("other", "Connected");
    assert!(message.contains("Set userId in spec.auth to an admin or co-admin of enterprise 777"), "{message}");
}
