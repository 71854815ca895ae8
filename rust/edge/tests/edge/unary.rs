//! Unary calls through a real connection: answers, refusals, deadlines, cancellation.

use std::time::{Duration, Instant};

use facade_edge::Code;
use tonic_types::StatusExt;

use crate::support::{
    self, Client, HEALTH, Service, bounds_of_time, eventually, framed, options, run, timeout_text,
};

/// Answers nothing, so that the calls pile up.
fn silent(options: facade_edge::Options) -> Service {
    Service::start(options, |_, call| Some(call))
}

#[test]
fn an_answer_comes_back_byte_for_byte() {
    let service = Service::echo(options());
    run(async {
        let mut client = Client::connect(service.port).await;
        let outcome = client.unary(HEALTH, b"question", &[]).await;
        assert_eq!((outcome.http_status, outcome.messages), (200, vec![b"question"[..].into()]));
        assert!(outcome.status.is_none());
        let empty = client.unary(HEALTH, b"", &[]).await;
        assert_eq!(empty.messages, [bytes::Bytes::new()]);
    });
}

#[test]
fn a_served_method_ends_with_exactly_one_field_15() {
    let mut options = options();
    options.served_methods.insert(HEALTH.to_owned());
    let service = Service::echo(options);
    run(async {
        let mut client = Client::connect(service.port).await;
        let request = [0x0a, 3, b'a', b'b', b'c'];
        let outcome = client.unary(HEALTH, &request, &[]).await;
        let answer = &outcome.messages[0];
        assert!(answer.starts_with(&request));
        let served = &answer[request.len()..];
        assert_eq!((served[0], usize::from(served[1])), (15 << 3 | 2, served.len() - 2));
        assert_eq!(served[2..6], [0x08, 1, 0x32, 64]);
        let other = client.unary("/datafacade.v1.DataFacadeService/CacheStats", &request, &[]).await;
        assert_eq!(other.messages, [request[..].to_vec()]);
    });
}

#[test]
fn a_large_answer_arrives_whole_and_served() {
    let mut options = options();
    options.served_methods.insert(HEALTH.to_owned());
    let service = Service::start(options, |_, call| {
        call.reply(&vec![7; 3 << 20], 5);
        None
    });
    run(async {
        let mut client = Client::connect(service.port).await;
        let outcome = client.unary(HEALTH, b"", &[]).await;
        assert_eq!(outcome.messages[0][..3 << 20], vec![7; 3 << 20]);
        assert_eq!(outcome.messages[0][(3 << 20) + 2..][..2], [0x08, 5]);
    });
}

#[test]
fn a_refusal_keeps_its_code_its_message_and_its_details() {
    let service = Service::start(options(), |_, call| {
        call.fail(Code::NotFound, "no symbol \u{201c}BTC\u{201d}\nnearest: BTC-USD", b"\x08\x05\x12\x01x");
        None
    });
    run(async {
        let outcome = Client::connect(service.port).await.unary(HEALTH, b"", &[]).await;
        let status = outcome.status();
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(status.message(), "no symbol \u{201c}BTC\u{201d}\nnearest: BTC-USD");
        assert_eq!(status.details(), b"\x08\x05\x12\x01x");
        assert!(outcome.messages.is_empty());
    });
}

#[test]
fn a_handler_that_forgets_a_call_gives_internal() {
    let service = Service::start(options(), |_, call| {
        drop(call);
        None
    });
    run(async {
        let outcome = Client::connect(service.port).await.unary(HEALTH, b"", &[]).await;
        assert_eq!(outcome.status().code(), Code::Internal);
    });
}

#[test]
fn handlers_see_who_asks_what_and_until_when() {
    let service = silent(options());
    run(async {
        let mut client = Client::connect(service.port).await;
        let begin_ns = support::now().mono_ns;
        let mut call = client.open(HEALTH, &[("grpc-timeout", "5S"), ("x-bot", "seven")]).await;
        call.send(b"ask", true);
        eventually("the call", || !service.held.lock().unwrap().is_empty()).await;
        let held = service.held.lock().unwrap();
        let question = held[0].question();
        assert_eq!((&*question.method, &question.request[..]), (HEALTH, &b"ask"[..]));
        assert_eq!(question.metadata["x-bot"], "seven");
        assert!(question.peer.ip().is_loopback());
        let arrived_ns = question.deadline_ns.unwrap() - 5_000_000_000;
        assert!((begin_ns..=support::now().mono_ns).contains(&arrived_ns), "{arrived_ns}");
        assert!(question.subscriber.is_none());
    });
}

/// Lets a deadline pass; returns whether a handler had the call by then.
fn let_pass(deadline: Duration) -> bool {
    let service = silent(options());
    run(async {
        let mut client = Client::connect(service.port).await;
        let begin = Instant::now();
        let headers = [("grpc-timeout", &*timeout_text(deadline))];
        let outcome = client.unary(HEALTH, b"", &headers).await;
        assert_eq!(outcome.status().code(), Code::DeadlineExceeded);
        assert!(begin.elapsed() >= deadline);
        assert_eq!(service.edge.stats().calls_expired, 1);
        let held = service.held.lock().unwrap();
        let Some(call) = held.first() else { return false };
        assert!(call.is_cancelled());
        assert_eq!(service.edge.bridge().cancelled(), [call.id()]);
        true
    })
}

#[test]
fn row_e13_a_passed_deadline_ends_the_call_and_is_told_to_its_handler() {
    assert!(bounds_of_time().any(let_pass));
}

#[test]
fn row_e13_a_client_that_leaves_is_told_to_the_handler() {
    let service = silent(options());
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut call = service.hold(&mut client, &[]).await;
        call.reset();
        eventually("the cancellation", || service.held.lock().unwrap()[0].is_cancelled()).await;
        eventually("the news", || service.edge.bridge().cancelled().len() == 1).await;
        eventually("the end", || service.edge.stats().unary_open == 0).await;
    });
}

#[test]
fn row_e04_a_client_that_dies_frees_its_calls() {
    let service = silent(options());
    run(async {
        let mut client = Client::connect(service.port).await;
        let _call = service.hold(&mut client, &[]).await;
        client.connection.abort();
        eventually("the end", || service.edge.stats().connections_open == 0).await;
        eventually("the cancellation", || service.held.lock().unwrap()[0].is_cancelled()).await;
        eventually("no call is left", || service.edge.stats().calls_open == 0).await;
    });
}

#[test]
fn the_server_s_own_limit_is_not_the_client_s_deadline() {
    let mut options = options();
    options.limits.unary_max = Duration::from_millis(40);
    let service = silent(options);
    run(async {
        let outcome = Client::connect(service.port).await.unary(HEALTH, b"", &[("grpc-timeout", "1H")]).await;
        assert_eq!(outcome.status().code(), Code::Unavailable);
        let details = outcome.status().get_error_details();
        assert_eq!(details.error_info().unwrap().reason, "TIME_LIMIT");
        assert!(details.retry_info().is_some());
    });
}

#[test]
fn calls_beyond_the_bridge_are_refused_with_the_time_to_come_back() {
    let mut options = options();
    options.limits.calls_max = 2;
    let service = silent(options);
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut waiting = Vec::new();
        for _ in 0..2 {
            let mut call = client.open(HEALTH, &[]).await;
            call.send(b"", true);
            waiting.push(call);
        }
        eventually("two calls", || service.edge.stats().calls_open == 2).await;
        let outcome = client.unary(HEALTH, b"", &[]).await;
        assert_eq!(outcome.status().code(), Code::Unavailable);
        let details = outcome.status().get_error_details();
        assert_eq!(details.error_info().unwrap().reason, "OVERLOADED");
        assert!(details.retry_info().unwrap().retry_delay.is_some());
    });
}

#[test]
fn what_is_not_ours_is_unimplemented_and_what_is_no_grpc_is_refused() {
    let service = Service::echo(options());
    run(async {
        let mut client = Client::connect(service.port).await;
        for path in ["/other.Service/Method", "/datafacade.v2.Service/Health", "/"] {
            let outcome = client.unary(path, b"", &[]).await;
            assert_eq!(outcome.status().code(), Code::Unimplemented, "{path}");
        }
        let mut json = client.open(HEALTH, &[("content-type", "application/json")]).await;
        json.send(b"{}", true);
        assert_eq!(json.headers().await["http-status"], "415");
    });
}

#[test]
fn a_bad_timeout_an_empty_and_a_doubled_request_are_invalid() {
    let service = Service::echo(options());
    run(async {
        let mut client = Client::connect(service.port).await;
        let outcome = client.unary(HEALTH, b"", &[("grpc-timeout", "soon")]).await;
        assert_eq!(outcome.status().code(), Code::InvalidArgument);
        for body in [bytes::Bytes::new(), [framed(b"a"), framed(b"b")].concat().into()] {
            let mut call = client.open(HEALTH, &[]).await;
            call.requests.send_data(body, true).unwrap();
            assert_eq!(call.outcome().await.status().code(), Code::InvalidArgument);
        }
    });
}

#[test]
fn an_answer_that_nobody_reads_is_cut_and_the_connection_goes_on() {
    let mut options = options();
    options.limits.blocked_max = Duration::from_millis(100);
    let service = Service::start(options, |_, call| {
        call.reply(&vec![7; if call.question().request.is_empty() { 3 << 20 } else { 10 }], 1);
        None
    });
    run(async {
        let mut builder = h2::client::Builder::new();
        builder.initial_connection_window_size(4 << 20);
        let mut client = Client::connect_with(service.port, builder).await;
        let mut unread = client.open(HEALTH, &[]).await;
        unread.send(b"", true);
        unread.headers().await;
        eventually("the cut", || service.edge.stats().streams_cut_blocked == 1).await;
        eventually("the end", || service.edge.is_idle()).await;
        assert_eq!(client.unary(HEALTH, b"small", &[]).await.messages[0].len(), 10);
        assert_eq!(service.edge.stats().streams_cut_blocked, 1);
    });
}
