//! Real sockets.

use crate::client::{env, start_time};
use box_sim::{Behaviour, BoxSim, EndpointFilter, EnterpriseConfig, ScriptedResponse, clock, demo};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const TIMEOUT: Duration = Duration::from_secs(20);

/// Sends a request on a new connection and reads until the server closes it.
async fn send_request(address: SocketAddr, request: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut response = Vec::new();
    timeout(TIMEOUT, stream.read_to_end(&mut response)).await??;
    Ok(String::from_utf8_lossy(&response).into_owned())
}

fn get_users_request(token: &str) -> String {
    format!(
        "GET /2.0/users?usemarker=true HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
}

#[tokio::test]
async fn the_router_is_served_on_a_socket() {
    let env = env(7);
    let server = env.sim.serve().await.expect("a port");
    assert!(server.url().starts_with("http://127.0.0.1:"));
    let response =
        send_request(server.address(), &get_users_request(&env.fetch_access_token().await)).await.expect("an answer");
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    assert_eq!(response.to_lowercase().matches("\r\ndate: sun, 22 nov 2026").count(), 1, "{response}");
    assert_eq!(response.matches(r#""type":"user""#).count(), 7);
}

#[tokio::test]
async fn a_broken_body_closes_the_connection() {
    let env = env(7);
    let server = env.sim.serve().await.expect("a port");
    let token = env.fetch_access_token().await;
    env.enterprise.queue_response(1, ScriptedResponse::ResetMidBody, EndpointFilter::Users);
    let response = send_request(server.address(), &get_users_request(&token)).await.expect("half an answer");
    assert!(response.contains("chunked") && !response.ends_with("0\r\n\r\n"), "{response}");
    env.enterprise.queue_response(1, ScriptedResponse::CloseConnection, EndpointFilter::Users);
    assert_eq!(send_request(server.address(), &get_users_request(&token)).await.expect("closed in good order"), "");
}

#[tokio::test]
async fn dropping_the_server_closes_it_and_its_connections() {
    let env = env(7);
    let server = env.sim.serve().await.expect("a port");
    let (address, request) = (server.address(), get_users_request(&env.fetch_access_token().await));
    env.enterprise.enable_behaviour(Behaviour::NeverResponds);
    let waiting = tokio::spawn(async move { send_request(address, &request).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    drop(server);
    let ended = timeout(TIMEOUT, waiting).await.expect("the connection ends").expect("no panic");
    assert!(ended.is_err() || ended.is_ok_and(|answer| answer.is_empty()));
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any longer");
}

#[tokio::test]
async fn only_the_loopback_interface_is_served() {
    let sim = BoxSim::new(clock::system_clock());
    assert!(sim.serve_at(SocketAddr::from(([0, 0, 0, 0], 0))).await.is_err());
}

#[tokio::test]
async fn the_demo_has_three_enterprises_one_of_them_deauthorized() {
    let demo = demo::demo(clock::tokio_clock(start_time()));
    let counts: Vec<(String, usize)> =
        demo.sim.enterprises().iter().map(|one| (one.id().to_owned(), one.user_count())).collect();
    assert_eq!(counts, [("1001".to_owned(), 1_200), ("1002".to_owned(), 12_000), ("1003".to_owned(), 800)]);
    assert_eq!(demo.globex.client_id(), demo::GLOBEX.client_id);
    let server = demo.sim.serve().await.expect("a port");
    let request_token = async |one: demo::DemoEnterprise| {
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&box_subject_type=enterprise&box_subject_id={}",
            one.client_id, one.client_secret, one.id
        );
        let head = "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n";
        send_request(server.address(), &format!("{head}Content-Length: {}\r\n\r\n{form}", form.len()))
            .await
            .expect("an answer")
    };
    assert!(request_token(demo::ACME).await.contains("access_token"));
    assert!(request_token(demo::INITECH).await.contains("unauthorized_client"));
}

/// Not a benchmark: a guard against a simulator that would dominate one.
#[tokio::test]
async fn a_hundred_thousand_users_are_listed_quickly() {
    let sim = BoxSim::new(clock::system_clock());
    let begun = std::time::Instant::now();
    let enterprise = sim.add_enterprise(EnterpriseConfig::new("1").users(100_000));
    eprintln!("100,000 users generated in {:?}", begun.elapsed());
    let env = crate::client::TestEnv::new(sim, enterprise);
    for round in ["first", "second"] {
        let begun = std::time::Instant::now();
        let pages = env.count_pages("limit=1000&fields=status,role,created_at,job_title,language,timezone,space_amount,is_platform_access_only").await;
        eprintln!("{round} walk: {} pages, {} bytes in {:?}", pages.0, pages.1, begun.elapsed());
        assert_eq!(pages.0, 100);
        assert!(begun.elapsed() < TIMEOUT);
    }
}
