//! From the first byte to the last: start, health, drain, stop, and exits that nobody announced.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use facade_edge::{Code, EdgeError, Options};
use tonic_types::StatusExt;

use crate::support::{self, Client, HEALTH, Service, eventually, options, run};

const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";

/// `HealthCheckRequest { service }`, and the status of the answer: 1 serving, 2 not.
async fn check(client: &mut Client, service: &str) -> Result<u8, Code> {
    let request = [&[0x0a, u8::try_from(service.len()).unwrap()][..], service.as_bytes()].concat();
    let outcome = client.unary(HEALTH_CHECK, &request, &[]).await;
    match outcome.status {
        Some(status) => Err(status.code()),
        None => Ok(outcome.messages[0][1]),
    }
}

fn on(address: SocketAddr, options: Options) -> Options {
    Options { listen: vec![address], ..options }
}

/// An address of a test's own: when it has let its port go, no neighbour can take it.
fn own(last: u8, port: u16) -> SocketAddr {
    ([127, 0, 0, last], port).into()
}

async fn connect(address: SocketAddr) -> Client {
    Client::connect_to(address, h2::client::Builder::new()).await
}

/// A stop that waits its bound out is one that never ends.
fn slow_to_stop() -> Options {
    let mut options = options();
    options.limits.stop_max = Duration::from_mins(10);
    options
}

#[test]
fn health_says_not_serving_until_it_is_told_otherwise() {
    let service = Service::echo(options());
    run(async {
        let mut client = Client::connect(service.port).await;
        for name in ["", "datafacade.v1.DataFacadeService"] {
            assert_eq!(check(&mut client, name).await, Ok(2));
        }
        assert_eq!(check(&mut client, "venue/kraken").await, Err(Code::NotFound));
        service.edge.set_health("", true).unwrap();
        service.edge.set_health("venue/kraken", true).unwrap();
        while check(&mut client, "venue/kraken").await != Ok(1) {}
        assert_eq!(check(&mut client, "").await, Ok(1));
    });
}

#[test]
fn row_e14_a_drain_refuses_new_calls_and_lets_those_that_run_go_on() {
    let service = Service::start(options(), |_, call| {
        if call.question().subscriber.is_some() {
            call.reply(b"", 1);
            return None;
        }
        Some(call)
    });
    run(async {
        let mut client = Client::connect(service.port).await;
        service.edge.set_health("", true).unwrap();
        let mut running = client.open(HEALTH, &[]).await;
        running.send(b"", true);
        let mut stream = client.subscribe(false).await;
        stream.headers().await;
        eventually("the call", || service.held.lock().unwrap().len() == 1).await;

        service.edge.drain(Duration::from_mins(10)).unwrap();
        let refused = client.unary(HEALTH, b"", &[]).await;
        let details = refused.status().get_error_details();
        assert_eq!(refused.status().code(), Code::Unavailable);
        assert_eq!(details.error_info().unwrap().reason, "DRAINING");
        assert!(details.retry_info().is_some());
        while check(&mut client, "").await != Ok(2) {}
        service.edge.set_health("", true).unwrap();
        assert_eq!(check(&mut client, "").await, Ok(2), "what drains never serves again");

        service.held.lock().unwrap().drain(..).for_each(|call| assert!(call.reply(b"done", 1)));
        assert_eq!(running.outcome().await.messages, [b"done"[..].to_vec()]);
        assert_eq!(service.edge.stats().streams_open, 1);
    });
}

#[test]
fn row_e14_a_drain_ends_streams_after_the_grace() {
    let service = Service::echo(options());
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut stream = client.subscribe(false).await;
        stream.headers().await;
        let begin = Instant::now();
        service.edge.drain(Duration::from_millis(300)).unwrap();
        let ended = stream.outcome().await;
        assert!(begin.elapsed() >= Duration::from_millis(300), "{:?}", begin.elapsed());
        assert_eq!(ended.status().code(), Code::Unavailable);
        eventually("idle", || service.edge.is_idle()).await;
    });
}

#[test]
fn a_hub_that_drains_ends_its_streams_with_the_draining_record() {
    let service = Service::echo(options());
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut stream = client.subscribe(true).await;
        stream.next().await.unwrap();
        service.hub.drain();
        let outcome = stream.outcome().await;
        assert_eq!(support::parse(outcome.messages.last().unwrap()).updates, ["draining"]);
        assert_eq!(outcome.status().get_error_details().error_info().unwrap().reason, "DRAINING");
    });
}

#[test]
fn stop_ends_streams_with_a_status_and_does_not_wait_its_bound_out() {
    let service = Service::echo(on(own(2, 0), slow_to_stop()));
    let address = own(2, service.port);
    run(async {
        let mut client = connect(address).await;
        let mut stream = client.subscribe(true).await;
        stream.headers().await;
        let edge = std::sync::Arc::clone(&service.edge);
        let stopped = support::aside(move || edge.stop());
        assert_eq!(stream.outcome().await.status().code(), Code::Unavailable);
        client.connection.await.unwrap().unwrap();
        stopped.recv_timeout(support::PATIENCE).unwrap().unwrap();
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
        assert!(matches!(service.edge.set_health("", true), Err(EdgeError::NotRunning)));
        assert!(service.edge.stop().is_ok(), "a second stop does nothing");
    });
}

#[test]
fn stop_ends_a_watch_of_health_at_once() {
    let service = Service::echo(slow_to_stop());
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut watch = client.open("/grpc.health.v1.Health/Watch", &[]).await;
        watch.send(b"", true);
        assert_eq!(watch.next().await.unwrap().unwrap()[..], [0x08, 2]);
        let edge = std::sync::Arc::clone(&service.edge);
        let stopped = support::aside(move || edge.stop());
        assert_eq!(watch.outcome().await.status().code(), Code::Unavailable);
        client.connection.await.unwrap().unwrap();
        stopped.recv_timeout(support::PATIENCE).unwrap().unwrap();
    });
}

#[test]
fn stop_does_not_wait_for_clients_that_do_not_read() {
    let service = Service::echo(options());
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut stream = client.subscribe(true).await;
        stream.next().await.unwrap();
        for _ in 0..8 {
            service.publish(&b"x".repeat(60_000));
        }
        service.edge.stop().expect("an end within the bound of less than a second");
        assert_eq!(service.hub.stats().subscribers, 0);
    });
}

#[test]
fn row_e17_a_second_edge_on_the_port_fails_at_once_and_names_the_address() {
    let service = Service::echo(options());
    let taken = || {
        let hub = std::sync::Arc::clone(&service.hub);
        let begin = Instant::now();
        let error =
            facade_edge::Edge::new(on(own(1, service.port), options()), hub).unwrap().start().unwrap_err();
        let elapsed = begin.elapsed();
        assert!(error.to_string().contains(&format!("127.0.0.1:{}", service.port)), "{error}");
        elapsed
    };
    // The shortest of some: the others tell how busy the machine is.
    let shortest = (0..5).map(|_| taken()).min().unwrap();
    assert!(shortest < Duration::from_secs(1), "{shortest:?}");
}

#[test]
fn a_port_is_free_again_after_the_stop() {
    let first = Service::echo(on(own(3, 0), options()));
    let address = own(3, first.port);
    run(async {
        connect(address).await.unary(HEALTH, b"", &[]).await;
    });
    first.edge.stop().unwrap();
    let second = Service::echo(on(address, options()));
    run(async {
        let outcome = connect(address).await.unary(HEALTH, b"again", &[]).await;
        assert_eq!(outcome.messages, [b"again"[..].to_vec()]);
    });
    assert_eq!(second.port, address.port());
}

#[test]
fn ctl_s2_an_address_that_others_can_reach_is_refused_unless_it_is_allowed() {
    let hub = Service::echo(options()).hub.clone();
    let public = Options { listen: vec!["0.0.0.0:0".parse().unwrap()], ..options() };
    let make = |options| facade_edge::Edge::new(options, std::sync::Arc::clone(&hub));
    assert!(matches!(make(public.clone()), Err(EdgeError::Public { .. })));
    assert!(make(Options { is_public_allowed: true, ..public }).is_ok());
}

#[test]
fn an_edge_starts_once() {
    let service = Service::echo(options());
    assert!(matches!(service.edge.start(), Err(EdgeError::StartedBefore)));
}

#[test]
fn row_h02_an_edge_that_is_dropped_while_it_serves_lets_go_of_its_port() {
    let hub = std::sync::Arc::clone(&Service::echo(options()).hub);
    let edge = facade_edge::Edge::new(on(own(4, 0), slow_to_stop()), hub).unwrap();
    let address = edge.start().unwrap()[0];
    run(async {
        let mut client = connect(address).await;
        check(&mut client, "").await.unwrap();
        // Waiting here blocks the client's only thread: its connection cannot end meanwhile.
        let dropped = support::aside(move || drop(edge));
        assert!(dropped.recv_timeout(support::PATIENCE).is_ok(), "dropping waits for nothing");
        while tokio::net::TcpStream::connect(address).await.is_ok() {}
        client.connection.await.unwrap().unwrap();
    });
}

#[test]
fn ctl_s9_reflection_is_for_developers() {
    const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    // `FileDescriptorSet { file: [{ name: "a.proto" }] }`.
    let descriptor = [&[0x0a, 9, 0x0a, 7][..], b"a.proto"].concat();
    // `ServerReflectionRequest { list_services: "*" }`.
    let request = [0x3a, 1, b'*'];
    let closed = Service::echo(Options { descriptor: descriptor.clone(), ..options() });
    let open = Service::echo(Options { descriptor, is_dev: true, ..options() });
    run(async {
        let refused = Client::connect(closed.port).await.unary(REFLECTION, &request, &[]).await;
        assert_eq!(refused.status().code(), Code::Unimplemented);
        let listed = Client::connect(open.port).await.unary(REFLECTION, &request, &[]).await;
        let text = String::from_utf8_lossy(&listed.messages[0]).into_owned();
        assert!(text.contains("grpc.health.v1.Health"), "{text}");
    });
}
