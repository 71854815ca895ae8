//! The bounds of FAULTS 5.2: what is too large or too much is refused, and nobody else notices.

use std::time::Duration;

use facade_edge::Code;
use tonic_types::StatusExt;

use crate::support::{self, Client, HEALTH, HOT_SUBSCRIBE, Service, eventually, options, run};

async fn works(client: &mut Client) {
    let outcome = client.unary(HEALTH, b"alive", &[]).await;
    assert_eq!(outcome.messages, [b"alive"[..].to_vec()]);
}

fn reason_and_limit(outcome: &support::Outcome) -> (Code, String, String) {
    let info = outcome.status().get_error_details().error_info().unwrap().clone();
    (outcome.status().code(), info.reason, info.metadata["limit"].clone())
}

#[test]
fn row_e09_a_request_of_64_kib_passes_and_one_byte_more_is_refused() {
    let service = Service::echo(options());
    run(async {
        let mut client = Client::connect(service.port).await;
        let outcome = client.unary(HEALTH, &vec![1; 65_536], &[]).await;
        assert_eq!(outcome.messages[0].len(), 65_536);
        for bytes in [65_537, (4 << 20) + 1] {
            let mut call = client.open(HEALTH, &[]).await;
            // Only the announcement: the edge refuses before the bytes come.
            let prefix = [&[0][..], &u32::try_from(bytes).unwrap().to_be_bytes()].concat();
            call.requests.send_data(prefix.into(), false).unwrap();
            let refused =
                (Code::ResourceExhausted, "QUOTA_EXCEEDED".to_owned(), "request_bytes_max".to_owned());
            assert_eq!(reason_and_limit(&call.outcome().await), refused);
        }
        let mut stream = client.open(HOT_SUBSCRIBE, &[]).await;
        stream.send(&vec![1; 65_537], false);
        assert_eq!(stream.outcome().await.status().code(), Code::ResourceExhausted);
        works(&mut client).await;
    });
}

#[test]
fn row_e09_metadata_of_9_and_of_17_kib_is_refused_and_the_connection_survives() {
    let service = Service::echo(options());
    run(async {
        let mut client = Client::connect(service.port).await;
        let text = "m".repeat(9 * 1024);
        let outcome = client.unary(HEALTH, b"", &[("x-large", &text)]).await;
        let refused = (Code::ResourceExhausted, "QUOTA_EXCEEDED".to_owned(), "metadata_bytes_max".to_owned());
        assert_eq!(reason_and_limit(&outcome), refused);
        let text = "m".repeat(17 * 1024);
        let mut call = client.open(HEALTH, &[("x-large", &text)]).await;
        assert_eq!(call.headers().await["http-status"], "431");
        works(&mut client).await;
    });
}

#[test]
fn row_e10_streams_beyond_the_bound_wait_and_the_others_go_on() {
    let mut options = options();
    options.limits.connection_streams_max = 2;
    let service = Service::start(options, |_, call| Some(call));
    run(async {
        let mut client = Client::connect(service.port).await;
        // The bound is told in SETTINGS; a first answer makes sure that they have come.
        let mut waiting = Vec::new();
        for _ in 0..2 {
            let mut call = client.open(HEALTH, &[]).await;
            call.send(b"", true);
            waiting.push(call);
        }
        eventually("two calls", || service.held.lock().unwrap().len() == 2).await;
        // The client queues the third: it is sent when another has ended.
        let mut third = client.open(HEALTH, &[]).await;
        third.send(b"third", true);
        assert!(tokio::time::timeout(Duration::from_millis(50), third.headers()).await.is_err());
        assert_eq!(service.held.lock().unwrap().len(), 2);
        for call in service.held.lock().unwrap().drain(..) {
            call.reply(b"done", 1);
        }
        for call in &mut waiting {
            assert_eq!(call.outcome().await.messages, [b"done"[..].to_vec()]);
        }
        eventually("the third call", || service.held.lock().unwrap().len() == 1).await;
        assert_eq!(&service.held.lock().unwrap()[0].question().request[..], b"third");
    });
}

#[test]
fn row_e11_streams_reset_at_once_never_reach_a_handler_in_numbers() {
    let service = Service::start(options(), |_, call| Some(call));
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut other = Client::connect(service.port).await;
        for _ in 0..2_000 {
            if client.connection.is_finished() {
                break;
            }
            let Ok(mut call) = client.try_open(HEALTH).await else { break };
            call.send(b"", true);
            call.reset();
        }
        eventually("no call is left", || service.edge.stats().calls_open == 0).await;
        let mut call = other.open(HEALTH, &[]).await;
        call.send(b"", true);
        eventually("the other's call", || {
            service.held.lock().unwrap().iter().any(|call| !call.is_cancelled())
        })
        .await;
    });
}

#[test]
fn a_connection_beyond_the_bound_is_closed_on_arrival() {
    let mut options = options();
    options.limits.connections_max = 1;
    let service = Service::echo(options);
    run(async {
        let mut first = Client::connect(service.port).await;
        works(&mut first).await;
        let mut second = tokio::net::TcpStream::connect(("127.0.0.1", service.port)).await.unwrap();
        let mut byte = [0];
        let read = std::future::poll_fn(|context| {
            let mut buffer = tokio::io::ReadBuf::new(&mut byte);
            tokio::io::AsyncRead::poll_read(std::pin::Pin::new(&mut second), context, &mut buffer)
                .map(|_| buffer.filled().len())
        });
        assert_eq!(read.await, 0);
        works(&mut first).await;
        assert_eq!(service.edge.stats().connections_refused, 1);
    });
}

#[test]
fn row_e03_a_client_that_answers_no_ping_is_gone_after_interval_and_timeout() {
    let mut options = options();
    options.limits.ping_interval = Duration::from_millis(100);
    options.limits.ping_timeout = Duration::from_millis(100);
    let service = Service::echo(options);
    run(async {
        let mut client = Client::connect(service.port).await;
        works(&mut client).await;
        let edge = std::sync::Arc::clone(&service.edge);
        let gone = support::aside(move || {
            while edge.stats().connections_open > 0 {
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        // Waiting here blocks the client's only thread: it is frozen and answers nothing. But for the ping nothing
        // would end it within minutes.
        assert!(gone.recv_timeout(support::PATIENCE).is_ok());
    });
}

#[test]
fn an_idle_connection_is_told_goodbye() {
    let mut options = options();
    options.limits.idle_max = Duration::from_millis(50);
    let service = Service::echo(options);
    run(async {
        let mut client = Client::connect(service.port).await;
        // Whether a call comes before the goodbye is up to the machine.
        if let Ok(mut call) = client.try_open(HEALTH).await {
            call.send(b"", true);
        }
        client.connection.await.unwrap().unwrap();
        eventually("the end", || service.edge.stats().connections_open == 0).await;
    });
}
