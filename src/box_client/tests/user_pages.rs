//! What a robust walk does, rule by rule.

use super::*;
use crate::user_list::{CodesByName, TrackingCodes, User, UserRole, UserStatus};

async fn list_from(pages: impl IntoIterator<Item = CannedResponse>) -> Result<Vec<String>, Error> {
    collect_user_ids(&FakeBox::default().respond_with(USERS, pages).connect(), Limits::default()).await
}

fn invalid_response_error(problem: InvalidResponse) -> Result<Vec<String>, Error> {
    Err(Error::invalid_response(problem))
}

#[tokio::test]
async fn a_listing_requests_only_the_needed_fields_and_follows_the_markers() {
    let fake = FakeBox::default()
        .respond_with(USERS, [user_page_response(&["1", "2"], Some("a+b/c=&d e")), user_page_response(&["3"], None)]);
    let client = fake.connect();
    assert_eq!(collect_user_ids(&client, Limits::default()).await.expect("a list"), ["1", "2", "3"]);
    let first = "usemarker=true&limit=1000&user_type=managed&fields=id,type,name,login,status,role,created_at,job_title,language,timezone,space_amount,is_platform_access_only,tracking_codes";
    let queries: Vec<String> = fake.requests_to(USERS).into_iter().map(|request| request.query).collect();
    assert_eq!(queries, [first.to_owned(), format!("{first}&marker=a%2Bb%2Fc%3D%26d%20e")]);
    assert_eq!(client.call_count(), 3);
}

#[tokio::test]
async fn the_end_is_a_marker_that_is_null_empty_or_missing() {
    for end in [json!({ "next_marker": null }), json!({ "next_marker": "" }), json!({}), json!({ "next_marker": [] })] {
        let mut body = end.clone();
        body["entries"] = json!([{ "id": "1", "type": "user" }]);
        assert_eq!(list_from([canned_response(200, body)]).await.expect("a list"), ["1"], "{end}");
    }
}

#[tokio::test]
async fn a_short_page_or_a_few_empty_pages_are_not_the_end() {
    let mut pages = vec![user_page_response(&["1"], Some("m0"))];
    pages.extend(["m1", "m2", "m3", "m4", "m5"].map(|marker| user_page_response(&[], Some(marker))));
    pages.push(user_page_response(&["2"], None));
    assert_eq!(list_from(pages).await.expect("a list"), ["1", "2"]);
}

#[tokio::test]
async fn a_listing_fails_after_too_many_empty_or_repeated_pages() {
    let markers: Vec<String> = (0..50).map(|n| format!("m{n}")).collect();
    let empty = markers.iter().map(|marker| user_page_response(&[], Some(marker)));
    assert_eq!(list_from(empty).await, invalid_response_error(InvalidResponse::NoProgress(6)));
    let circle =
        markers.iter().enumerate().map(|(n, marker)| user_page_response(&[["1", "2", "3"][n % 3]], Some(marker)));
    assert_eq!(list_from(circle).await, invalid_response_error(InvalidResponse::NoProgress(6)));
}

#[tokio::test]
async fn a_repeated_marker_fails_the_listing() {
    assert_eq!(
        list_from([user_page_response(&["1"], Some("m")), user_page_response(&["2"], Some("m"))]).await,
        invalid_response_error(InvalidResponse::RepeatedMarker)
    );
    let circle = [
        user_page_response(&["1"], Some("a")),
        user_page_response(&["2"], Some("b")),
        user_page_response(&["3"], Some("a")),
    ];
    assert_eq!(list_from(circle).await, invalid_response_error(InvalidResponse::RepeatedMarker));
}

#[tokio::test]
async fn offset_pagination_fails_the_listing() {
    let entries = json!([{ "id": "1" }]);
    for body in [
        json!({ "entries": entries, "limit": 100, "offset": 0, "total_count": 250, "order": [] }),
        json!({ "entries": entries, "total_count": 1 }),
        json!({ "entries": entries, "offset": 0, "next_marker": null }),
    ] {
        assert_eq!(
            list_from([canned_response(200, &body)]).await,
            invalid_response_error(InvalidResponse::OffsetPagination),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_response_that_is_no_user_page_fails_the_listing() {
    let whole = user_page_response(&["1", "2"], None).body;
    for (body, problem) in [
        ("<html><body>Sign in</body></html>", InvalidResponse::NotJson),
        ("", InvalidResponse::NotJson),
        (&whole[..whole.len() / 2], InvalidResponse::NotJson),
        (&format!("{whole}x"), InvalidResponse::NotJson),
        ("{}", InvalidResponse::NotAUserPage),
        ("[]", InvalidResponse::NotAUserPage),
        ("null", InvalidResponse::NotAUserPage),
        (r#"{"entries":null}"#, InvalidResponse::NotAUserPage),
        (r#"{"entries":{}}"#, InvalidResponse::NotAUserPage),
        (r#"{"entries":["1"]}"#, InvalidResponse::NotAUserPage),
        (r#"{"entries":[{"id":"1"},{"name":"nobody"}]}"#, InvalidResponse::EntryWithoutUser { page: 1, entry: 2 }),
        (r#"{"entries":[{"id":null}]}"#, InvalidResponse::EntryWithoutUser { page: 1, entry: 1 }),
        (r#"{"entries":[{"id":""}]}"#, InvalidResponse::EntryWithoutUser { page: 1, entry: 1 }),
        (r#"{"entries":[{"id":"1"},null,{"id":"3"},null]}"#, InvalidResponse::EntryWithoutUser { page: 1, entry: 2 }),
    ] {
        assert_eq!(list_from([canned_response(200, body)]).await, invalid_response_error(problem), "{body}");
    }
}

#[tokio::test]
async fn an_empty_user_list_is_an_error() {
    assert_eq!(
        list_from([user_page_response(&[], None)]).await,
        invalid_response_error(InvalidResponse::EmptyUserList)
    );
    assert_eq!(
        list_from([user_page_response(&[], Some("m")), user_page_response(&[], None)]).await,
        invalid_response_error(InvalidResponse::EmptyUserList)
    );
}

#[tokio::test]
async fn a_user_on_two_pages_is_returned_twice_in_page_order() {
    assert_eq!(
        list_from([user_page_response(&["1", "2"], Some("m")), user_page_response(&["2", "3"], None)])
            .await
            .expect("a list"),
        ["1", "2", "2", "3"]
    );
}

#[tokio::test]
async fn a_listing_fails_beyond_its_limits() {
    let pages = || {
        [
            user_page_response(&["1", "2"], Some("a")),
            user_page_response(&["3", "4"], Some("b")),
            user_page_response(&["5"], None),
        ]
    };
    let list_with_limits =
        async |limits| collect_user_ids(&FakeBox::default().respond_with(USERS, pages()).connect(), limits).await;
    let exact = Limits { users: 5, pages: 3, ..Limits::default() };
    assert_eq!(list_with_limits(exact).await.expect("a list").len(), 5);
    assert_eq!(
        list_with_limits(Limits { users: 4, ..exact }).await,
        Err(Error::LimitExceeded(LimitExceeded::Users(4)))
    );
    assert_eq!(
        list_with_limits(Limits { pages: 2, ..exact }).await,
        Err(Error::LimitExceeded(LimitExceeded::Pages(2)))
    );
    let error = list_with_limits(Limits { page_bytes: 100, ..exact }).await.expect_err("too large");
    assert_eq!(error.to_string(), "A response from Box is larger than 100 bytes.");
    let error = list_with_limits(Limits { list_bytes: 60, ..exact }).await.expect_err("too large");
    assert_eq!(error.to_string(), "The list takes more than 60 bytes of memory.");
}

#[tokio::test]
async fn long_fields_of_a_user_are_cut_and_a_long_id_is_rejected() {
    let long = "ü".repeat(100_000);
    let user = |id: &str| {
        json!({
            "type": "user", "id": id, "name": long, "login": long, "status": long, "role": long, "job_title": long,
            "language": long, "timezone": long, "created_at": long, "space_amount": long,
            "tracking_codes": vec![json!({ "type": "tracking_code", "name": long, "value": long }); 5],
        })
    };
    let list = async |id: &str| {
        let body = json!({ "limit": 1000, "entries": [user(id)] });
        let client = FakeBox::default().respond_with(USERS, [canned_response(200, body)]).connect();
        client.list_users(Limits::default()).next().await
    };
    let page = list("11").await.expect("a page").expect("a page");
    assert!(page.memory_bytes() < 2 * (320 + 2 * 256 + 4 * 64 + 2 * 256) + 100, "{} bytes", page.memory_bytes());
    let user = page.iter().next().expect("a user");
    assert_eq!((user.login.chars().count(), user.name.chars().count()), (320, 256));
    assert_eq!((user.job_title.chars().count(), user.timezone.chars().count()), (256, 64));
    assert!(list(&"1".repeat(64)).await.is_ok());
    let error = list(&"1".repeat(65)).await.expect_err("no id of Box");
    assert_eq!(
        error.to_string(),
        "The response from Box is invalid: the response contains a user id of more than 64 characters."
    );
}

#[tokio::test]
async fn unusual_user_fields_are_parsed() {
    let body = json!({
        "limit": 1000,
        "entries": [
            {
                "type": "user", "id": "11", "name": "Zoë \"Z\" Ångström\n", "login": "zoe@example.com", "status": "active", "role": "coadmin",
                "created_at": "2012-12-12T10:53:43-08:00", "job_title": "", "language": "en", "timezone": "Europe/Berlin",
                "space_amount": 10_737_418_240_i64, "is_platform_access_only": true, "notification_email": [], "phone": 49123, "unknown": { "a": [1] },
                "tracking_codes": [
                    { "type": "tracking_code", "name": "department", "value": "Sales" },
                    null,
                    { "type": "tracking_code", "name": "cost centre", "value": 4711 },
                ],
            },
            {
                "type": "user", "id": 12, "name": null, "login": null, "status": "cannot_delete_edit_share", "role": "owner", "created_at": "yesterday",
                "job_title": [], "space_amount": 1e15, "is_platform_access_only": null, "tracking_codes": null,
            },
            { "type": "user", "id": "13", "tracking_codes": { "department": "Sales" }, "space_amount": -1, "name": "🦀", "created_at": null },
        ],
    });
    let fake = FakeBox::default().respond_with(USERS, [canned_response(200, body)]);
    let client = fake.connect();
    let page = client.list_users(Limits::default()).next().await.expect("a page").expect("a page");
    let codes = CodesByName::from([("cost centre".into(), "4711".into()), ("department".into(), "Sales".into())]);
    assert_eq!(
        page.iter().collect::<Vec<_>>(),
        [
            User {
                id: "11",
                tracking_codes: TrackingCodes::by_name(&codes),
                login: "zoe@example.com",
                name: "Zoë \"Z\" Ångström\n",
                status: UserStatus::Active,
                role: UserRole::Coadmin,
                language: "en",
                timezone: "Europe/Berlin",
                app: true,
                created_at: Some(1_355_338_423),
                space_amount: 10_737_418_240,
                ..User::default()
            },
            User {
                id: "12",
                status: UserStatus::Other("cannot_delete_edit_share"),
                role: UserRole::Other("owner"),
                space_amount: 1_000_000_000_000_000,
                ..User::default()
            },
            User { id: "13", name: "🦀", space_amount: -1, ..User::default() },
        ]
    );
    assert_eq!(format!("{page:?}"), "UserPage { users: 3, .. }", "Debug shows no personal data");
}

#[tokio::test(start_paused = true)]
async fn a_failed_listing_never_reports_its_end() {
    let fake = FakeBox::default()
        .respond_with(USERS, [user_page_response(&["1"], Some("m"))])
        .respond_with(USERS, vec![canned_response(503, ""); 5])
        .respond_with(USERS, [canned_response(200, "{")]);
    let client = fake.connect();
    let mut pages = client.list_users(Limits::default());
    assert!(pages.next().await.expect("a page").is_some());
    assert!(matches!(pages.next().await, Err(Error::Unavailable { .. })));
    assert!(matches!(pages.next().await, Err(Error::InvalidResponse { .. })));
    assert_eq!(pages.page_count(), 1);
    assert_eq!(pages.next().await.expect("a page").expect("a page").len(), 1, "the failed page is requested again");
    assert!(pages.next().await.expect("the end").is_none());
}

#[tokio::test]
async fn a_token_that_expires_during_a_listing_is_renewed() {
    let fake = FakeBox::default().respond_with(
        USERS,
        [user_page_response(&["1"], Some("m")), canned_response(401, ""), user_page_response(&["2"], None)],
    );
    assert_eq!(collect_user_ids(&fake.connect(), Limits::default()).await.expect("a list"), ["1", "2"]);
    assert_eq!(fake.requests_to(TOKEN).len(), 2);
}

#[tokio::test]
async fn a_listing_can_be_cancelled_between_two_pages() {
    let fake = FakeBox::default().respond_with(USERS, [user_page_response(&["1"], Some("m"))]);
    let cancel = CancellationToken::new();
    let client = Client::new(&fake.new_token_source(), cancel.clone());
    let mut pages = client.list_users(Limits::default());
    assert!(pages.next().await.expect("a page").is_some());
    cancel.cancel();
    assert_eq!(pages.next().await.map(|page| page.is_some()), Err(Error::Cancelled));
    assert_eq!(fake.requests_to(USERS).len(), 1);
}

#[tokio::test]
async fn an_entry_without_a_user_is_named_with_its_page_and_the_request_id() {
    let broken = canned_response(200, r#"{"entries":[{"id":"3"},null]}"#).with_header("box-request-id", "0abc");
    let error = list_from([user_page_response(&["1"], Some("m")), broken]).await.expect_err("a null entry");
    assert_eq!(
        error.to_string(),
        "The response from Box is invalid: entry 2 of page 2 is null, or a user without an id: no explanation (request id 0abc)."
    );
}

#[tokio::test]
async fn a_name_with_half_a_surrogate_pair_stops_nobody() {
    let page = canned_response(200, r#"{"entries":[{"id":"1","name":"Jos\ud83d"},{"id":"2"}]}"#);
    let client = FakeBox::default().respond_with(USERS, [page]).connect();
    let page = client.list_users(Limits::default()).next().await.expect("a page").expect("a page");
    assert_eq!(page.ids().collect::<Vec<_>>(), ["1", "2"]);
}

#[tokio::test]
async fn a_missing_scope_is_said_by_a_header_alone() {
    let challenge = r#"Bearer realm="Service", error="insufficient_scope", error_description="The request requires higher privileges than provided by the access token.""#;
    let refused =
        canned_response(403, "").with_header("www-authenticate", challenge).with_header("box-request-id", "0abc");
    let error = list_from([refused]).await.expect_err("refused");
    assert!(matches!(error, Error::Denied { denial: Denial::PermissionDenied, .. }), "{error}");
    assert!(error.to_string().contains("requires higher privileges") && error.to_string().contains("0abc"), "{error}");
    let bare = list_from([canned_response(403, "")]).await.expect_err("refused");
    assert!(matches!(bare, Error::Denied { denial: Denial::PermissionDenied, .. }), "{bare}");
    let proxy = list_from([canned_response(403, "<html>blocked</html>")]).await.expect_err("refused");
    assert!(matches!(proxy, Error::InvalidResponse { .. }), "{proxy}");
}
