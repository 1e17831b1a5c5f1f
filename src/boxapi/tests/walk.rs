//! What a robust walk does, rule by rule.

use super::*;

async fn walked(pages: impl IntoIterator<Item = Answer>) -> Result<Vec<String>, Error> {
    walk(&FakeBox::default().then(USERS, pages).visit(), Caps::default()).await
}

fn nonsense(what: Nonsense) -> Result<Vec<String>, Error> {
    Err(Error::invalid(what))
}

#[tokio::test]
async fn a_walk_asks_for_exactly_what_it_needs_and_follows_the_markers() {
    let fake = FakeBox::default().then(USERS, [page(&["1", "2"], Some("a+b/c=&d e")), page(&["3"], None)]);
    let visit = fake.visit();
    assert_eq!(walk(&visit, Caps::default()).await.expect("a list"), ["1", "2", "3"]);
    let first = "usemarker=true&limit=1000&user_type=managed&fields=id,type,name,login,status,role,created_at,job_title,language,timezone,space_amount,is_platform_access_only";
    let queries: Vec<String> = fake.asked_at(USERS).into_iter().map(|asked| asked.query).collect();
    assert_eq!(queries, [first.to_owned(), format!("{first}&marker=a%2Bb%2Fc%3D%26d%20e")]);
    assert_eq!(visit.calls(), 3);
}

#[tokio::test]
async fn the_end_is_a_marker_that_is_null_empty_or_missing() {
    for end in [json!({ "next_marker": null }), json!({ "next_marker": "" }), json!({}), json!({ "next_marker": [] })] {
        let mut body = end.clone();
        body["entries"] = json!([{ "id": "1", "type": "user" }]);
        assert_eq!(walked([answer(200, body)]).await.expect("a list"), ["1"], "{end}");
    }
}

#[tokio::test]
async fn a_short_page_is_not_the_end_and_a_few_empty_ones_are_not_either() {
    let mut pages = vec![page(&["1"], Some("m0"))];
    pages.extend(["m1", "m2", "m3", "m4", "m5"].map(|marker| page(&[], Some(marker))));
    pages.push(page(&["2"], None));
    assert_eq!(walked(pages).await.expect("a list"), ["1", "2"]);
}

#[tokio::test]
async fn a_walk_among_empty_or_repeated_pages_comes_to_an_end() {
    let markers: Vec<String> = (0..50).map(|n| format!("m{n}")).collect();
    let empty = markers.iter().map(|marker| page(&[], Some(marker)));
    assert_eq!(walked(empty).await, nonsense(Nonsense::Endless(6)));
    let circle = markers.iter().enumerate().map(|(n, marker)| page(&[["1", "2", "3"][n % 3]], Some(marker)));
    assert_eq!(walked(circle).await, nonsense(Nonsense::Endless(6)));
}

#[tokio::test]
async fn a_marker_seen_before_fails_the_walk_whoever_came_with_it() {
    assert_eq!(walked([page(&["1"], Some("m")), page(&["2"], Some("m"))]).await, nonsense(Nonsense::MarkerRepeated));
    let circle = [page(&["1"], Some("a")), page(&["2"], Some("b")), page(&["3"], Some("a"))];
    assert_eq!(walked(circle).await, nonsense(Nonsense::MarkerRepeated));
}

#[tokio::test]
async fn a_reply_by_offset_fails_the_walk() {
    let entries = json!([{ "id": "1" }]);
    for body in [
        json!({ "entries": entries, "limit": 100, "offset": 0, "total_count": 250, "order": [] }),
        json!({ "entries": entries, "total_count": 1 }),
        json!({ "entries": entries, "offset": 0, "next_marker": null }),
    ] {
        assert_eq!(walked([answer(200, &body)]).await, nonsense(Nonsense::OffsetReply), "{body}");
    }
}

#[tokio::test]
async fn an_answer_that_is_no_page_fails_the_walk() {
    let whole = page(&["1", "2"], None).body;
    for (body, what) in [
        ("<html><body>Sign in</body></html>", Nonsense::NotJson),
        ("", Nonsense::NotJson),
        (&whole[..whole.len() / 2], Nonsense::NotJson),
        (&format!("{whole}x"), Nonsense::NotJson),
        ("{}", Nonsense::NotAPage),
        ("[]", Nonsense::NotAPage),
        ("null", Nonsense::NotAPage),
        (r#"{"entries":null}"#, Nonsense::NotAPage),
        (r#"{"entries":{}}"#, Nonsense::NotAPage),
        (r#"{"entries":["1"]}"#, Nonsense::NotAPage),
        (r#"{"entries":[{"id":"1"},{"name":"nobody"}]}"#, Nonsense::UserWithoutId),
        (r#"{"entries":[{"id":null}]}"#, Nonsense::UserWithoutId),
    ] {
        assert_eq!(walked([answer(200, body)]).await, nonsense(what), "{body}");
    }
}

#[tokio::test]
async fn a_list_without_a_single_user_is_not_believed() {
    assert_eq!(walked([page(&[], None)]).await, nonsense(Nonsense::NoUsers));
    assert_eq!(walked([page(&[], Some("m")), page(&[], None)]).await, nonsense(Nonsense::NoUsers));
}

#[tokio::test]
async fn the_same_user_on_two_pages_is_handed_on_twice_the_later_one_last() {
    assert_eq!(
        walked([page(&["1", "2"], Some("m")), page(&["2", "3"], None)]).await.expect("a list"),
        ["1", "2", "2", "3"]
    );
}

#[tokio::test]
async fn a_walk_ends_at_its_caps() {
    let pages = || [page(&["1", "2"], Some("a")), page(&["3", "4"], Some("b")), page(&["5"], None)];
    let capped = async |caps| walk(&FakeBox::default().then(USERS, pages()).visit(), caps).await;
    let exact = Caps { users: 5, pages: 3, ..Caps::default() };
    assert_eq!(capped(exact).await.expect("a list").len(), 5);
    assert_eq!(capped(Caps { users: 4, ..exact }).await, Err(Error::TooLarge(Cap::Users(4))));
    assert_eq!(capped(Caps { pages: 2, ..exact }).await, Err(Error::TooLarge(Cap::Pages(2))));
    let error = capped(Caps { page_bytes: 100, ..exact }).await.expect_err("too large");
    assert_eq!(error.to_string(), "An answer of Box is larger than 100 bytes.");
}

#[tokio::test]
async fn whatever_box_puts_into_a_user_is_read() {
    let body = json!({
        "limit": 1000,
        "entries": [
            {
                "type": "user", "id": "11", "name": "Zoë \"Z\" Ångström\n", "login": "zoe@example.com", "status": "active", "role": "coadmin",
                "created_at": "2012-12-12T10:53:43-08:00", "job_title": "", "language": "en", "timezone": "Europe/Berlin",
                "space_amount": 10_737_418_240_i64, "is_platform_access_only": true, "notification_email": [], "phone": 49123, "unknown": { "a": [1] },
            },
            {
                "type": "user", "id": 12, "name": null, "login": null, "status": "cannot_delete_edit_share", "role": "owner", "created_at": "yesterday",
                "job_title": [], "space_amount": 1e15, "is_platform_access_only": null,
            },
            { "type": "user", "id": "13", "space_amount": -1, "name": "🦀", "created_at": null },
        ],
    });
    let fake = FakeBox::default().then(USERS, [answer(200, body)]);
    let visit = fake.visit();
    let page = visit.users(Caps::default()).next().await.expect("a page").expect("a page");
    let empty = User {
        id: "",
        login: "",
        name: "",
        status: "",
        role: "",
        job_title: "",
        language: "",
        timezone: "",
        app: false,
        created_at: None,
        space_amount: 0,
    };
    assert_eq!(
        page.users().collect::<Vec<_>>(),
        [
            User {
                id: "11",
                login: "zoe@example.com",
                name: "Zoë \"Z\" Ångström\n",
                status: "active",
                role: "coadmin",
                language: "en",
                timezone: "Europe/Berlin",
                app: true,
                created_at: Some("2012-12-12T18:53:43Z".parse().expect("a time")),
                space_amount: 10_737_418_240,
                ..empty
            },
            User {
                id: "12",
                status: "cannot_delete_edit_share",
                role: "owner",
                space_amount: 1_000_000_000_000_000,
                ..empty
            },
            User { id: "13", name: "🦀", space_amount: -1, ..empty },
        ]
    );
    assert_eq!(format!("{page:?}"), "Page { users: 3, .. }", "a page never prints people");
}

#[tokio::test(start_paused = true)]
async fn a_walk_that_failed_never_pretends_to_be_at_its_end() {
    let fake = FakeBox::default()
        .then(USERS, [page(&["1"], Some("m"))])
        .then(USERS, vec![answer(503, ""); 5])
        .then(USERS, [answer(200, "{")]);
    let visit = fake.visit();
    let mut walk = visit.users(Caps::default());
    assert!(walk.next().await.expect("a page").is_some());
    assert!(matches!(walk.next().await, Err(Error::Unavailable { .. })));
    assert!(matches!(walk.next().await, Err(Error::Invalid { .. })));
    assert_eq!(walk.pages(), 1);
    assert_eq!(walk.next().await.expect("a page").expect("a page").len(), 1, "the page that failed is asked for again");
    assert!(walk.next().await.expect("the end").is_none());
}

#[tokio::test]
async fn a_token_that_expires_in_the_middle_of_a_walk_is_renewed() {
    let fake = FakeBox::default().then(USERS, [page(&["1"], Some("m")), answer(401, ""), page(&["2"], None)]);
    assert_eq!(walk(&fake.visit(), Caps::default()).await.expect("a list"), ["1", "2"]);
    assert_eq!(fake.asked_at(TOKEN).len(), 2);
}

#[tokio::test]
async fn a_walk_stops_between_two_pages() {
    let fake = FakeBox::default().then(USERS, [page(&["1"], Some("m"))]);
    let stop = CancellationToken::new();
    let visit = fake.session().visit(stop.clone());
    let mut walk = visit.users(Caps::default());
    assert!(walk.next().await.expect("a page").is_some());
    stop.cancel();
    assert_eq!(walk.next().await.map(|page| page.is_some()), Err(Error::Stopped));
    assert_eq!(fake.asked_at(USERS).len(), 1);
}
