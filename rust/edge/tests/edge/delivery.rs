//! Delivery as a client meets it: intervals that pass in silence, and what is not acknowledged.

use std::time::{Duration, Instant};

use facade_edge::Options;
use facade_hub::{Delivery, HubBounds};
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{Client, Open, Parsed, Service, ack, eventually, options, parse, run, small_hub};

const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";

/// Without silence, so that only the Hub's own timers ring.
fn quiet() -> Options {
    let mut options = options();
    options.limits.silence_max = Duration::from_mins(10);
    options
}

async fn subscribe(client: &mut Client) -> Open {
    let mut call = client.subscribe(false).await;
    assert_eq!(next(&mut call).await.updates, ["accepted"]);
    call
}

async fn next(call: &mut Open) -> Parsed {
    parse(&call.next().await.unwrap().expect("a response"))
}

/// Acknowledges the first response a while after it came: the client handles one record in 30 ms, so that 16 are half
/// a second of work.
async fn acknowledge_slowly(service: &Service, call: &mut Open) {
    tokio::time::sleep(Duration::from_millis(30)).await;
    call.send(&ack(1), false);
    eventually("the acknowledgement", || {
        service.hub.subscriber_stats(facade_hub::SubscriberId::from_raw(1 << 32)).unwrap().stream_seq_acked
            == 1
    })
    .await;
}

#[test]
fn an_interval_passes_although_nothing_is_published() {
    let interval = Duration::from_millis(150);
    let ns = u64::try_from(interval.as_nanos()).unwrap();
    let service = Service::deliver(small_hub(), quiet(), Delivery::Interval { ns });
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut call = subscribe(&mut client).await;
        let begun = Instant::now();
        service.publish(b"first");
        assert_eq!(next(&mut call).await.updates, ["first"]);
        service.publish_at_once(b"again", 3);
        assert_eq!(next(&mut call).await.updates.last().unwrap(), "again");
        assert!(begun.elapsed() >= interval, "{:?}", begun.elapsed());
    });
}

#[test]
fn a_full_window_holds_the_stream_until_it_is_acknowledged() {
    let service = Service::deliver(small_hub(), quiet(), Delivery::Every);
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut call = subscribe(&mut client).await;
        acknowledge_slowly(&service, &mut call).await;
        service.publish_at_once(b"x", 200);
        let mut read = 0;
        let mut stream_seq = loop {
            let response = next(&mut call).await;
            read += response.updates.len();
            // The edge has one thread: when it has answered this, it has sent all that it may.
            client.unary(HEALTH_CHECK, b"", &[]).await;
            let sent = usize::try_from(service.edge.stats().records_sent).unwrap() - 1;
            assert!(sent < 200, "{sent} records left without an acknowledgement");
            if read == sent {
                break response.stream_seq;
            }
        };
        while read < 200 {
            call.send(&ack(stream_seq), false);
            let response = next(&mut call).await;
            read += response.updates.len();
            stream_seq = response.stream_seq;
        }
    });
}

#[test]
fn row_e02_a_client_that_acknowledged_and_stops_is_ended_with_slow_reader() {
    let bounds = HubBounds { lag_ns: 300_000_000, ..small_hub() };
    let service = Service::deliver(bounds, quiet(), Delivery::Latest);
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut call = subscribe(&mut client).await;
        acknowledge_slowly(&service, &mut call).await;
        let begun = Instant::now();
        service.publish_at_once(b"x", 100);
        let outcome = call.outcome().await;
        assert_eq!(outcome.status().code(), Code::ResourceExhausted);
        assert_eq!(outcome.status().get_error_details().error_info().unwrap().reason, "SLOW_READER");
        assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
        let updates: Vec<String> =
            outcome.messages.iter().flat_map(|message| parse(message).updates).collect();
        let gap = updates.last().unwrap().strip_prefix("gap ").unwrap();
        let (first, last) = gap.split_once('-').unwrap();
        assert_eq!(last, "100");
        assert_eq!(first.parse::<usize>().unwrap(), updates.len(), "what came before it is whole");
        assert_eq!(service.edge.stats().streams_cut_slow, 1);
        assert_eq!(service.hub.stats().subscribers, 0);
    });
}
