//! Retries, delays and cancellation, with paused time.

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
async fn transient_errors_are_retried() {
    for response in
        [canned_response(503, ""), canned_response(500, "<html>"), canned_response(202, ""), canned_response(429, "{}")]
    {
        let fake = FakeBox::default().respond_with(ME, vec![response; 4]);
        let client = fake.connect();
        let (account, elapsed) = timed(client.get_account()).await;
        account.expect("an account");
        assert_eq!(client.call_count(), 1 + 5);
        assert!(seconds(15..40).contains(&elapsed), "{elapsed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_fails_after_five_attempts() {
    let fake =
        FakeBox::default().respond_with(ME, vec![canned_response(503, "").with_header("box-request-id", "r9"); 9]);
    let client = fake.connect();
    let error = client.get_account().await.expect_err("unavailable");
    assert_eq!(error, Error::Unavailable { retry_after: None, detail: "Box returned 503 (request id r9)".into() });
    assert_eq!(error.to_string(), "Box is not available: Box returned 503 (request id r9).");
    assert_eq!(fake.requests_to(ME).len(), 5);

    let fake = FakeBox::default()
        .respond_with(ME, vec![api_error(429, "rate_limit_exceeded").with_header("retry-after", 30); 9]);
    let (result, elapsed) = timed(fake.connect().get_account()).await;
    let error = result.expect_err("limited");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
    assert_eq!(
        error.to_string(),
        r#"Box rate-limits the requests: "A message of Box" (rate_limit_exceeded, request id r1)."#
    );
    assert_eq!((fake.requests_to(ME).len(), elapsed), (5, Duration::from_secs(120)));
}

#[tokio::test(start_paused = true)]
async fn every_attempt_is_recorded_with_its_outcome_and_without_content() {
    let records = Arc::<Mutex<Vec<CallRecord>>>::default();
    let observed = records.clone();
    let fake =
        FakeBox::default().respond_with(TOKEN, [canned_response(503, "").with_header("retry-after", 7)]).respond_with(
            ME,
            [canned_response(200, "{}").with_delay(Duration::from_secs(90)), canned_response(418, "teapot")],
        );
    let client = fake.connect().with_observer(Arc::new(move |call| observed.lock().expect("lock").push(*call)));
    client.get_account().await.expect_err("a teapot");
    let outcomes: Vec<_> =
        records.lock().expect("lock").iter().map(|c| (c.endpoint.as_str(), c.outcome.as_str())).collect();
    assert_eq!(outcomes, [("token", "503"), ("token", "200"), ("me", "timeout"), ("me", "4xx")]);
    assert_eq!(u32::try_from(outcomes.len()), Ok(client.call_count()));
    let records = records.lock().expect("lock");
    assert_eq!((records[0].retry_after, records[1].retry_after), (Some(Duration::from_secs(7)), None));
    assert_eq!((records[1].duration, records[2].duration), (Duration::ZERO, Duration::from_secs(60)));
}

#[test]
fn outcome_labels_are_bounded_for_any_status() {
    let labels = CallOutcome::all_labels();
    for status in 0..=u16::MAX {
        assert!(labels.contains(&CallOutcome::Status(status).as_str()), "{status}");
    }
    assert_eq!(
        [200, 299, 429, 599, 999].map(|s| CallOutcome::Status(s).as_str()),
        ["200", "2xx", "429", "5xx", "other"]
    );
    assert_eq!(labels.iter().collect::<std::collections::HashSet<_>>().len(), labels.len(), "each once");
}

#[tokio::test(start_paused = true)]
async fn retry_after_up_to_a_minute_is_waited_exactly() {
    for status in [429, 503] {
        for retry_after in [1, 7, 60] {
            let fake = FakeBox::default()
                .respond_with(TOKEN, [canned_response(status, "").with_header("retry-after", retry_after)]);
            let (signed_in, elapsed) = timed(fake.connect().sign_in()).await;
            assert_eq!((signed_in, elapsed), (Ok(()), Duration::from_secs(retry_after)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_beyond_a_minute_is_returned_to_the_caller_at_once() {
    for (status, retry_after) in [(429, 61), (429, 86_400), (503, 600)] {
        let fake = FakeBox::default()
            .respond_with(ME, vec![canned_response(status, "").with_header("retry-after", retry_after); 2]);
        let (account, elapsed) = timed(fake.connect().get_account()).await;
        let error = account.expect_err("told to wait");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(retry_after)), "{error:?}");
        assert_eq!(matches!(error, Error::RateLimited { .. }), status == 429, "{error:?}");
        assert_eq!((fake.requests_to(ME).len(), elapsed), (1, Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalid_retry_after_is_ignored() {
    for garbage in ["0", "-5", "soon", "1.5", "86401", "99999999999999999999", "Sun, 22 Nov 2020 13:00:00 GMT", ""] {
        let fake = FakeBox::default().respond_with(ME, [canned_response(429, "").with_header("retry-after", garbage)]);
        let (account, elapsed) = timed(fake.connect().get_account()).await;
        account.expect("an account");
        assert!(seconds(1..3).contains(&elapsed), "{garbage}: {elapsed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_date_is_compared_with_the_date_header() {
    let limited = canned_response(429, "").with_header("retry-after", "Sun, 22 Nov 2026 13:00:40 GMT");
    let fake = FakeBox::default().respond_with(ME, [limited.with_header("date", "Sun, 22 Nov 2026 13:00:10 GMT")]);
    let (account, elapsed) = timed(fake.connect().get_account()).await;
    account.expect("an account");
    assert_eq!(elapsed, Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_exceeds_the_timeout_is_retried() {
    let fake =
        FakeBox::default().respond_with(ME, vec![canned_response(200, "{}").with_delay(Duration::from_secs(3600)); 9]);
    let (account, elapsed) = timed(fake.connect().get_account()).await;
    let error = account.expect_err("no answer");
    assert_eq!(
        error,
        Error::Unavailable { retry_after: None, detail: "api.box.com sent no complete response within 60 s".into() }
    );
    assert_eq!(fake.requests_to(ME).len(), 5);
    assert!(seconds(315..340).contains(&elapsed), "{elapsed:?}");
}

#[tokio::test]
async fn permanent_errors_are_not_retried() {
    for (status, body, expected) in [
        (
            403,
            json!({ "code": "forbidden_by_policy" }).to_string(),
            "Box blocks access from this network: no explanation (forbidden_by_policy).",
        ),
        (
            404,
            json!({ "code": "not_found" }).to_string(),
            "The response from Box is invalid: the response has status 404: no explanation (not_found).",
        ),
        (403, "<html>proxy</html>".into(), "The response from Box is invalid: the response has status 403."),
        (
            302,
            String::new(),
            "The response from Box is invalid: the response is a redirect (302), which is not followed.",
        ),
        (204, String::new(), "The response from Box is invalid: the response is not complete JSON."),
        (200, "<html>".into(), "The response from Box is invalid: the response is not complete JSON."),
    ] {
        let fake = FakeBox::default()
            .respond_with(ME, [canned_response(status, body).with_header("location", "https://elsewhere.example/")]);
        assert_eq!(fake.connect().get_account().await.expect_err("refused").to_string(), expected);
        assert_eq!(fake.requests_to(ME).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn cancellation_ends_every_wait() {
    let fake = FakeBox::default().respond_with(ME, vec![canned_response(429, "").with_header("retry-after", 50); 5]);
    let cancel = CancellationToken::new();
    let client = Client::new(&fake.new_token_source(), cancel.clone());
    let cancelling = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        cancel.cancel();
    };
    let ((account, ()), elapsed) = timed(async { tokio::join!(client.get_account(), cancelling) }).await;
    assert_eq!((account, elapsed), (Err(Error::Cancelled), Duration::from_secs(3)));
    assert_eq!(client.get_account().await, Err(Error::Cancelled), "no call begins afterwards");
    assert_eq!((client.call_count(), fake.recorded_requests().len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_token_can_be_cancelled_while_the_call_in_flight_continues() {
    let fake =
        FakeBox::default().respond_with(TOKEN, [token_response("t0ken", 3600).with_delay(Duration::from_secs(20))]);
    let (token_source, cancel) = (fake.new_token_source(), CancellationToken::new());
    let (first, second) = (Client::new(&token_source, cancel.clone()), Client::new(&token_source, cancel.clone()));
    let cancelling = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        cancel.cancel();
    };
    let (signed_in, (waited, elapsed), ()) = tokio::join!(first.sign_in(), timed(second.sign_in()), cancelling);
    assert_eq!((signed_in, waited, elapsed), (Ok(()), Err(Error::Cancelled), Duration::from_secs(3)));
    assert!(token_source.has_valid_token());
}

#[tokio::test(start_paused = true)]
async fn a_client_can_move_between_threads() {
    let fake = FakeBox::default();
    let client = fake.connect();
    let ids = tokio::spawn(async move {
        client.sign_in().await?;
        client.get_account().await?;
        collect_user_ids(&client, Limits::default()).await
    });
    assert_eq!(ids.await.expect("no panic").expect("a list"), ["1"]);
}
