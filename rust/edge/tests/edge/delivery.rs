//! Delivery as a client meets it: intervals that pass in silence, and what is not acknowledged.

use std::time::{Duration, Instant};

use facade_edge::Options;
use facade_hub::{Delivery, HubBounds};
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{Client, Open, Parsed, Service, eventually, options, parse, run, small_hub};

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
    call.send(&[0x20, 1], false);
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
        service.publish(b"first");
        assert_eq!(next(&mut call).await.updates, ["first"]);
        let begun = Instant::now();
        for body in [b"a", b"b", b"c"] {
            service.publish(body);
        }
        assert_eq!(next(&mut call).await.updates.last().unwrap(), "c");
        assert!(begun.elapsed() > interval / 2, "{:?}", begun.elapsed());
    });
}

#[test]
fn a_full_window_holds_the_stream_until_it_is_acknowledged() {
    let service = Service::deliver(small_hub(), quiet(), Delivery::Every);
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut call = subscribe(&mut client).await;
        acknowledge_slowly(&service, &mut call).await;
        for _ in 0..200 {
            service.publish(b"x");
        }
        let (mut read, mut stream_seq) = (0, 0);
        while read < 200 {
            let Ok(response) = tokio::time::timeout(Duration::from_millis(100), next(&mut call)).await else {
                assert!(read > 0 && read < 200, "the window is smaller than what waits");
                break;
            };
            read += response.updates.len();
            stream_seq = response.stream_seq;
        }
        assert!(read < 200, "{read} records came without an acknowledgement");
        while read < 200 {
            call.send(&[0x20, u8::try_from(stream_seq).unwrap()], false);
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
        for _ in 0..100 {
            service.publish(b"x");
        }
        let begun = Instant::now();
        let outcome = call.outcome().await;
        assert_eq!(outcome.status().code(), Code::ResourceExhausted);
        assert_eq!(outcome.status().get_error_details().error_info().unwrap().reason, "SLOW_READER");
        assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
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
