//! What Box says now of the users who would be removed. Asked from this terminal, with the connection's credentials.

use std::{collections::HashMap, time::Duration};

use futures::{StreamExt, stream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{AuthType, BoxConnection},
    auth::{self, FailureContext, KeyDecryption, SignIn},
    box_client::{Client, TokenSource},
    cli::{
        box_api::BoxApiArgs,
        errors::{self, Permission},
        io::Io,
        kube_context::KubeContext,
        output::format::{format_number, pluralize},
    },
    kube_client::KubeError,
    user_list::UserStanding,
};

/// More users are not asked about: those who approve wait for it.
const MAX_ASKED: usize = 100;
const MAX_CONCURRENT_LOOKUPS: usize = 4;
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The answers by user id, and why there are not more.
#[derive(Default)]
pub(super) struct BoxAnswers {
    answers: HashMap<String, UserStanding>,
    /// Why Box was not asked, or not about everybody.
    problem: Option<String>,
}

impl BoxAnswers {
    /// For a line about this user.
    pub(super) fn describe(&self, id: &str) -> &'static str {
        match self.answers.get(id) {
            Some(UserStanding::Managed) => "  Box: still in the enterprise",
            Some(UserStanding::Gone) => "  Box: gone",
            Some(UserStanding::Unknown) => "  Box: does not say",
            None => "",
        }
    }

    /// Of `users` users.
    pub(super) fn summary(&self, users: usize) -> String {
        let count = |wanted| to_i64(self.answers.values().filter(|standing| **standing == wanted).count());
        let asked = self.answers.len();
        let mut text = String::new();
        if asked > 0 {
            let whom = if asked < users {
                format!("{} of these users", format_number(to_i64(asked)))
            } else {
                "each of these users".to_owned()
            };
            let (gone, managed, unknown) =
                (count(UserStanding::Gone), count(UserStanding::Managed), count(UserStanding::Unknown));
            text = format!(
                "Box, asked about {whom} now: {} gone, {} still in the enterprise, {} unknown.\n",
                format_number(gone),
                format_number(managed),
                format_number(unknown)
            );
            if managed > 0 {
                text.push_str(&format!(
                    "As long as Box says that {} in the enterprise, an approval removes nobody.\n",
                    if managed == 1 {
                        "1 of them is".to_owned()
                    } else {
                        format!("{} are", pluralize(managed, "user"))
                    }
                ));
            }
        }
        if let Some(problem) = &self.problem {
            let what = if asked == 0 { "Box was not asked about them" } else { "Box was not asked about the others" };
            text.push_str(&format!("{what}: {problem}.\n"));
        }
        text
    }
}

fn to_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Asks Box about the first users.
pub(super) async fn ask_box<'a>(
    ids: impl Iterator<Item = &'a str>,
    kube: &KubeContext,
    connection: &BoxConnection,
    box_api: &BoxApiArgs,
    io: &Io<'_>,
) -> BoxAnswers {
    let client = match connect_to_box(kube, connection, box_api, io).await {
        Ok(client) => client,
        Err(problem) => return BoxAnswers { problem: Some(problem), ..BoxAnswers::default() },
    };
    let deadline = Instant::now() + TIME_LIMIT;
    let mut found = BoxAnswers::default();
    let mut lookups = stream::iter(ids.take(MAX_ASKED).map(str::to_owned))
        .map(async |id| {
            let standing = client.look_up_user(&id, &connection.spec.enterprise_id).await;
            (id, standing)
        })
        .buffer_unordered(MAX_CONCURRENT_LOOKUPS);
    loop {
        match tokio::time::timeout_at(deadline, lookups.next()).await {
            Ok(None) => return found,
            Ok(Some((id, Ok(standing)))) => {
                found.answers.insert(id, standing);
            }
            Ok(Some((_, Err(error)))) => {
                found.problem = Some(error.to_string().trim_end_matches('.').to_owned());
                return found;
            }
            Err(_) => {
                found.problem = Some(format!("it took longer than {} s", TIME_LIMIT.as_secs()));
                return found;
            }
        }
    }
}

/// # Errors
/// Why Box cannot be asked, without a full stop.
async fn connect_to_box(
    kube: &KubeContext,
    connection: &BoxConnection,
    box_api: &BoxApiArgs,
    io: &Io<'_>,
) -> Result<Client, String> {
    let without_stop = |text: String| text.trim_end_matches('.').to_owned();
    let Some((method, secret_name)) = connection.spec.auth.selected_method() else {
        return Err("the connection has no sign-in method".to_owned());
    };
    let context = FailureContext::for_connection(connection);
    // The tokens of a user's authorization belong to the operator, and are only read.
    let token_secret = context.token_secret_name();
    let name = if method == AuthType::Oauth2 { &token_secret } else { secret_name };
    let secret = kube.get_secret(name).await.map_err(|error| match error {
        KubeError::NotFound => format!("there is no Secret {name}"),
        error => without_stop(errors::kube_error_message(
            &error,
            &Permission::in_namespace("get", "secrets", &kube.namespace),
        )),
    })?;
    let transport = box_api.transport().map_err(|error| without_stop(error.to_string()))?;
    let (base, clock) = (box_api.base_url.clone(), io.clock.to_fn());
    if method == AuthType::Oauth2 {
        let token =
            auth::access_token_from_secret(secret).ok_or_else(|| format!("Secret {name} has no access token yet"))?;
        let source = TokenSource::with_access_token(transport, base, token, clock)
            .map_err(|_| "the stored access token is invalid".to_owned())?;
        return Ok(Client::new(&source, CancellationToken::new()));
    }
    let credentials = KeyDecryption::default()
        .parse_secret(&context, method, secret)
        .await
        .map_err(|failure| without_stop(failure.summary))?;
    Ok(SignIn::with_credentials(transport, base, credentials, &context, clock).client)
}
