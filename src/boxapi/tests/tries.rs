//! Tries, waits and stopping, under paused time.

use tokio::time::Instant;

use super::*;

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    (work.await, start.elapsed())
}

fn seconds(range: std::ops::Range<u64>) -> std::ops::Range<Duration> {
    Duration::from_secs(range.start)..Duration::from_secs(range.end)
}

#[tokio::test(start_paused = true)]
async fn trouble_that_passes_is_waited_out() {
    for trouble in [answer(503, ""), answer(500, "<html>"), answer(202, ""), answer(429, "{}")] {
        let fake = FakeBox::default().then(ME, vec![trouble; 4]);
        let visit = fake.visit();
        let (account, took) = timed(visit.account()).await;
        account.expect("an account");
        assert_eq!(visit.calls(), 1 + 5);
        assert!(seconds(15..40).contains(&took), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_five_tries_box_is_left_alone() {
    let fake = FakeBox::default().then(ME, vec![answer(503, "").header("box-request-id", "r9"); 9]);
    let visit = fake.visit();
    let error = visit.account().await.expect_err("unavailable");
    assert_eq!(error, Error::Unavailable { wait: None, what: "Box answered 503 (request id r9)".into() });
    assert_eq!(error.to_string(), "Box is not available: Box answered 503 (request id r9).");
    assert_eq!(fake.asked_at(ME).len(), 5);

    let fake = FakeBox::default().then(ME, vec![api_error(429, "rate_limit_exceeded").header("retry-after", 30); 9]);
    let (answer, took) = timed(fake.visit().account()).await;
    let error = answer.expect_err("limited");
    assert_eq!(error.wait(), Some(Duration::from_secs(30)));
    assert_eq!(
        error.to_string(),
        r#"Box asks for fewer requests: "Words of Box" (rate_limit_exceeded, request id r1)."#
    );
    assert_eq!((fake.asked_at(ME).len(), took), (5, Duration::from_secs(120)));
}

#[tokio::test(start_paused = true)]
async fn every_try_is_told_with_its_outcome_and_never_what_was_said() {
    let heard = Arc::<Mutex<Vec<Call>>>::default();
    let listener = heard.clone();
    let fake = FakeBox::default()
        .then(TOKEN, [answer(503, "").header("retry-after", 7)])
        .then(ME, [answer(200, "{}").late(Duration::from_secs(90)), answer(418, "teapot")]);
    let visit = fake.visit().heard_by(Arc::new(move |call| listener.lock().expect("lock").push(*call)));
    visit.account().await.expect_err("a teapot");
    let told: Vec<_> = heard.lock().expect("lock").iter().map(|c| (c.endpoint.as_str(), c.outcome.as_str())).collect();
    assert_eq!(told, [("token", "503"), ("token", "200"), ("me", "timeout"), ("me", "4xx")]);
    assert_eq!(u32::try_from(told.len()), Ok(visit.calls()));
    let heard = heard.lock().expect("lock");
    assert_eq!((heard[0].told_wait, heard[1].told_wait), (Some(Duration::from_secs(7)), None));
    assert_eq!((heard[1].took, heard[2].took), (Duration::ZERO, Duration::from_secs(60)));
}

#[test]
fn an_outcome_has_one_of_few_words_whatever_a_server_sends() {
    let words = Outcome::words();
    for status in 0..=u16::MAX {
        assert!(words.contains(&Outcome::Status(status).as_str()), "{status}");
    }
    assert_eq!([200, 299, 429, 599, 999].map(|s| Outcome::Status(s).as_str()), ["200", "2xx", "429", "5xx", "other"]);
    assert_eq!(words.iter().collect::<std::collections::HashSet<_>>().len(), words.len(), "each once");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_box_names_is_waited_exactly_up_to_a_minute() {
    for status in [429, 503] {
        for told in [1, 7, 60] {
            let fake = FakeBox::default().then(TOKEN, [answer(status, "").header("retry-after", told)]);
            let (signed_in, took) = timed(fake.visit().sign_in()).await;
            assert_eq!((signed_in, took), (Ok(()), Duration::from_secs(told)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_a_minute_is_handed_to_the_caller_at_once() {
    for (status, told) in [(429, 61), (429, 86_400), (503, 600)] {
        let fake = FakeBox::default().then(ME, vec![answer(status, "").header("retry-after", told); 2]);
        let (account, took) = timed(fake.visit().account()).await;
        let error = account.expect_err("told to wait");
        assert_eq!(error.wait(), Some(Duration::from_secs(told)), "{error:?}");
        assert_eq!(matches!(error, Error::Limited { .. }), status == 429, "{error:?}");
        assert_eq!((fake.asked_at(ME).len(), took), (1, Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_makes_no_sense_counts_as_not_told() {
    for garbage in ["0", "-5", "soon", "1.5", "86401", "99999999999999999999", "Sun, 22 Nov 2020 13:00:00 GMT", ""] {
        let fake = FakeBox::default().then(ME, [answer(429, "").header("retry-after", garbage)]);
        let (account, took) = timed(fake.visit().account()).await;
        account.expect("an account");
        assert!(seconds(1..3).contains(&took), "{garbage}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_date_to_come_back_at_is_read_by_boxs_own_clock() {
    let limited = answer(429, "").header("retry-after", "Sun, 22 Nov 2026 13:00:40 GMT");
    let fake = FakeBox::default().then(ME, [limited.header("date", "Sun, 22 Nov 2026 13:00:10 GMT")]);
    let (account, took) = timed(fake.visit().account()).await;
    account.expect("an account");
    assert_eq!(took, Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_more_than_a_minute_is_given_up_and_tried_again() {
    let fake = FakeBox::default().then(ME, vec![answer(200, "{}").late(Duration::from_secs(3600)); 9]);
    let (account, took) = timed(fake.visit().account()).await;
    let error = account.expect_err("no answer");
    assert_eq!(
        error,
        Error::Unavailable { wait: None, what: "api.box.com gave no complete answer within 60 s".into() }
    );
    assert_eq!(fake.asked_at(ME).len(), 5);
    assert!(seconds(315..340).contains(&took), "{took:?}");
}

#[tokio::test]
async fn what_box_refuses_is_not_tried_again() {
    for (status, body, expected) in [
        (
            403,
            json!({ "code": "forbidden_by_policy" }).to_string(),
            "Box blocks access from here: no explanation (forbidden_by_policy).",
        ),
        (
            404,
            json!({ "code": "not_found" }).to_string(),
            "Box's answer makes no sense: it answered 404: no explanation (not_found).",
        ),
        (403, "<html>proxy</html>".into(), "Box's answer makes no sense: it answered 403."),
        (302, String::new(), "Box's answer makes no sense: it answered 302, a redirect, which is not followed."),
        (204, String::new(), "Box's answer makes no sense: its answer is not complete JSON."),
        (200, "<html>".into(), "Box's answer makes no sense: its answer is not complete JSON."),
    ] {
        let fake = FakeBox::default().then(ME, [answer(status, body).header("location", "https://elsewhere.example/")]);
        assert_eq!(fake.visit().account().await.expect_err("refused").to_string(), expected);
        assert_eq!(fake.asked_at(ME).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn every_wait_ends_when_the_visit_is_told_to_stop() {
    let fake = FakeBox::default().then(ME, vec![answer(429, "").header("retry-after", 50); 5]);
    let stop = CancellationToken::new();
    let visit = fake.session().visit(stop.clone());
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        stop.cancel();
    };
    let ((account, ()), took) = timed(async { tokio::join!(visit.account(), stopping) }).await;
    assert_eq!((account, took), (Err(Error::Stopped), Duration::from_secs(3)));
    assert_eq!(visit.account().await, Err(Error::Stopped), "no call begins afterwards");
    assert_eq!((visit.calls(), fake.asked().len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_visit_that_waits_for_another_ones_token_can_be_stopped_and_the_call_in_flight_goes_on() {
    let fake = FakeBox::default().then(TOKEN, [token("t0ken", 3600).late(Duration::from_secs(20))]);
    let (session, stop) = (fake.session(), CancellationToken::new());
    let (first, second) = (session.visit(stop.clone()), session.visit(stop.clone()));
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        stop.cancel();
    };
    let (signed_in, (waited, took), ()) = tokio::join!(first.sign_in(), timed(second.sign_in()), stopping);
    assert_eq!((signed_in, waited, took), (Ok(()), Err(Error::Stopped), Duration::from_secs(3)));
    assert!(session.holds_token());
}

#[tokio::test(start_paused = true)]
async fn an_errand_may_move_between_threads() {
    let fake = FakeBox::default();
    let visit = fake.visit();
    let ids = tokio::spawn(async move {
        visit.sign_in().await?;
        visit.account().await?;
        walk(&visit, Caps::default()).await
    });
    assert_eq!(ids.await.expect("no panic").expect("a list"), ["1"]);
}
