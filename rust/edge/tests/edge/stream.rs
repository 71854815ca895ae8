//! Subscriptions through a real connection: the header, joining, acknowledgements, half-closing, and every way in
//! which a stream ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use facade_edge::{Code, Options};
use facade_hub::SubscriberId;
use tonic_types::StatusExt;

use crate::support::{
    self, Client, HOT_SUBSCRIBE, Open, Parsed, SUBSCRIBE, Service, ack, eventually, framed, now, options,
    parse, run,
};

/// Empty responses come far too rarely to be in the way.
fn quiet() -> Options {
    let mut options = options();
    options.limits.silence_max = Duration::from_mins(10);
    options
}

async fn subscribe(client: &mut Client, is_last: bool) -> Open {
    let mut call = client.subscribe(is_last).await;
    let first = next(&mut call).await;
    assert_eq!((first.stream_seq, first.updates), (1, vec!["accepted".to_owned()]));
    call
}

async fn next(call: &mut Open) -> Parsed {
    parse(&call.next().await.unwrap().expect("a response"))
}

#[test]
fn a_response_is_a_header_written_first_and_the_joined_updates() {
    let service = Service::echo(quiet());
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut call = subscribe(&mut client, false).await;
        let before = now().wall_ns;
        service.publish(b"one");
        let second = next(&mut call).await;
        assert_eq!((second.stream_seq, &second.updates[..]), (2, &["one".to_owned()][..]));
        assert!((before..=now().wall_ns).contains(&second.ts_send), "{second:?}");
        assert!(second.ts_watermark > 0 && second.ts_watermark <= second.ts_send, "{second:?}");
    });
}

#[test]
fn everything_published_arrives_once_and_in_order() {
    let service = Service::echo(quiet());
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut call = subscribe(&mut client, true).await;
        let publisher = support::aside({
            let hub = Arc::clone(&service.hub);
            move || {
                let topic = support::topic(&hub);
                let mut batch = facade_hub::Batch::default();
                for seq in 1..=20_000u64 {
                    batch.clear();
                    let kind = facade_hub::RecordKind::Data;
                    let body = seq.to_string();
                    let write = |out: &mut Vec<u8>| {
                        out.extend_from_slice(body.as_bytes());
                        Ok::<(), ()>(())
                    };
                    batch.record(topic, seq, kind, false, write).unwrap();
                    hub.publish(&batch, now()).unwrap();
                }
            }
        });
        let (mut seq, mut stream_seq) = (0, 1);
        while seq < 20_000 {
            let response = next(&mut call).await;
            stream_seq += 1;
            assert_eq!(response.stream_seq, stream_seq);
            for update in response.updates {
                seq += 1;
                assert_eq!(update, seq.to_string());
            }
        }
        publisher.recv().unwrap();
        let stats = service.edge.stats();
        assert_eq!((stats.records_sent, stats.latency.count), (20_001, stats.responses_sent - 1));
        assert!(stats.latency.p50_ns > 0);
    });
}

#[test]
fn an_update_larger_than_a_response_and_than_the_window_arrives_whole() {
    let service = Service::echo(quiet());
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut call = subscribe(&mut client, true).await;
        service.publish(&vec![b'x'; 700_000]);
        service.publish(b"behind it");
        assert_eq!(next(&mut call).await.updates, ["x".repeat(700_000)]);
        assert_eq!(next(&mut call).await.updates, ["behind it"]);
    });
}

#[test]
fn silence_is_broken_by_an_empty_response() {
    let mut options = options();
    options.limits.silence_max = Duration::from_millis(30);
    let service = Service::echo(options);
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut call = client.subscribe(true).await;
        let mut last = next(&mut call).await;
        for stream_seq in 2..5 {
            let response = next(&mut call).await;
            assert_eq!((response.stream_seq, response.updates.len()), (stream_seq, 0));
            // The edge's own stamps: they may be read at any time.
            assert!(response.ts_send - last.ts_send >= 15_000_000, "not before there was silence");
            last = response;
        }
    });
}

#[test]
fn half_closing_keeps_the_stream() {
    let service = Service::echo(quiet());
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut call = subscribe(&mut client, true).await;
        for text in ["one", "two"] {
            service.publish(text.as_bytes());
            assert_eq!(next(&mut call).await.updates, [text]);
        }
    });
}

#[test]
fn requests_reach_the_handler_one_by_one_with_the_number_of_their_subscriber() {
    let service = Service::start(quiet(), |_, call| Some(call));
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut call = client.subscribe(false).await;
        call.send(&[0x1a, 1, 7], false);
        let held = || service.held.lock().unwrap();
        eventually("the first request", || held().len() == 1).await;
        assert_eq!(service.edge.stats().calls_open, 1, "the second waits for the first");
        held()[0].reply(b"", 1);
        eventually("the second request", || held().len() == 2).await;
        let held = held();
        let [first, second] = [held[0].question(), held[1].question()];
        assert_eq!((&first.request[..], &second.request[..]), (SUBSCRIBE, &[0x1a, 1, 7][..]));
        let number = |question: &facade_edge::Question| question.subscriber.as_ref().unwrap().id;
        assert_eq!(number(first), number(second));
        assert_eq!(first.deadline_ns, None);
    });
}

#[test]
fn an_acknowledgement_alone_reaches_the_hub_and_no_handler() {
    let seen = Arc::new(AtomicUsize::new(0));
    let service = Service::start(quiet(), {
        let seen = Arc::clone(&seen);
        move |hub, call| {
            seen.fetch_add(1, Ordering::AcqRel);
            let id = call.question().subscriber.as_ref().unwrap().id;
            hub.push(SubscriberId::from_raw(id), b"accepted");
            call.reply(b"", 1);
            None
        }
    });
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut call = subscribe(&mut client, false).await;
        call.send(&ack(1), false);
        eventually("the acknowledgement", || {
            let stats = service.hub.subscriber_stats(SubscriberId::from_raw(1 << 32));
            stats.is_some_and(|stats| stats.stream_seq_acked == 1)
        })
        .await;
        assert_eq!(seen.load(Ordering::Acquire), 1);
    });
}

#[test]
fn an_acknowledgement_above_what_was_sent_ends_the_call() {
    let service = Service::echo(quiet());
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut call = subscribe(&mut client, false).await;
        call.send(&ack(2), false);
        let outcome = call.outcome().await;
        assert_eq!(outcome.status().code(), Code::InvalidArgument);
        let details = outcome.status().get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "ack_stream_seq");
    });
}

#[test]
fn a_refused_request_ends_the_stream_behind_what_waits() {
    let service = Service::start(quiet(), |hub, call| {
        let id = call.question().subscriber.as_ref().unwrap().id;
        hub.push(SubscriberId::from_raw(id), b"last words");
        call.fail(Code::ResourceExhausted, "too many symbols", b"");
        None
    });
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut call = client.subscribe(false).await;
        let outcome = call.outcome().await;
        assert_eq!(outcome.status().message(), "too many symbols");
        assert_eq!(parse(&outcome.messages[0]).updates, ["last words"]);
        eventually("the end", || service.edge.bridge().closed() == [1 << 32]).await;
        assert_eq!(service.hub.stats().subscribers, 0);
    });
}

#[test]
fn ctl_s14_the_first_request_must_come_and_come_in_time() {
    let mut options = quiet();
    options.limits.first_request_max = Duration::from_millis(40);
    let service = Service::echo(options);
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut late = client.open(HOT_SUBSCRIBE, &[]).await;
        assert_eq!(late.outcome().await.status().code(), Code::InvalidArgument);
        let mut none = client.open(HOT_SUBSCRIBE, &[]).await;
        none.requests.send_data(bytes::Bytes::new(), true).unwrap();
        assert_eq!(none.outcome().await.status().code(), Code::InvalidArgument);
    });
}

#[test]
fn what_is_no_message_ends_the_call() {
    let service = Service::echo(quiet());
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut call = client.open(HOT_SUBSCRIBE, &[]).await;
        call.send(&[0xff], false);
        assert_eq!(call.outcome().await.status().code(), Code::InvalidArgument);
        let mut call = client.open(HOT_SUBSCRIBE, &[]).await;
        call.requests.send_data(framed(b"")[..3].to_vec().into(), true).unwrap();
        assert_eq!(call.outcome().await.status().code(), Code::InvalidArgument);
    });
}

#[test]
fn the_client_s_deadline_ends_a_stream() {
    let service = Service::echo(quiet());
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut call = client.open(HOT_SUBSCRIBE, &[("grpc-timeout", "50m")]).await;
        call.send(SUBSCRIBE, true);
        assert_eq!(call.outcome().await.status().code(), Code::DeadlineExceeded);
    });
}

#[test]
fn a_stream_that_the_hub_closes_ends_well() {
    let service = Service::echo(quiet());
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut call = subscribe(&mut client, true).await;
        service.hub.close(SubscriberId::from_raw(1 << 32));
        assert!(call.outcome().await.status.is_none());
    });
}

#[test]
fn row_e04_a_client_that_dies_is_forgotten() {
    let service = Service::echo(quiet());
    run(async {
        let mut client = Client::connect(service.port).await;
        let _call = subscribe(&mut client, false).await;
        client.connection.abort();
        eventually("the end", || service.hub.stats().subscribers == 0).await;
        eventually("the news", || service.edge.bridge().closed() == [1 << 32]).await;
        eventually("the figures", || {
            let stats = service.edge.stats();
            (stats.streams_open, stats.connections_open) == (0, 0)
        })
        .await;
    });
}

#[test]
fn the_end_of_a_request_in_a_handler_s_hands_is_told_before_the_end_of_its_stream() {
    let service = Service::start(quiet(), |_, call| Some(call));
    run(async {
        let mut client = Client::connect(service.port).await;
        for number in 1..=20u64 {
            let mut call = client.subscribe(false).await;
            eventually("the request", || service.held.lock().unwrap().len() == 1).await;
            call.reset();
            let bridge = service.edge.bridge();
            let mut closed = Vec::new();
            eventually("the end of the stream", || {
                closed = bridge.closed();
                !closed.is_empty()
            })
            .await;
            let held = service.held.lock().unwrap().pop().unwrap();
            assert_eq!((bridge.cancelled(), held.is_cancelled()), (vec![held.id()], true), "{number}");
        }
    });
}

#[test]
fn a_client_that_resets_its_stream_is_forgotten() {
    let service = Service::echo(quiet());
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut call = subscribe(&mut client, false).await;
        call.reset();
        eventually("the end", || service.hub.stats().subscribers == 0).await;
        assert_eq!(service.edge.stats().connections_open, 1);
    });
}

#[test]
fn a_reader_beyond_its_bound_is_told_what_it_lost_and_where_to_resume() {
    let service = Service::echo(quiet());
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut call = subscribe(&mut client, true).await;
        let record = vec![b'x'; 60_000];
        for _ in 0..40 {
            service.publish(&record);
        }
        let outcome = call.outcome().await;
        let mut updates: Vec<_> =
            outcome.messages.iter().flat_map(|message| parse(message).updates).collect();
        let gap = updates.pop().unwrap();
        let (first_lost, last_lost) = gap.strip_prefix("gap ").unwrap().split_once('-').unwrap();
        let [first_lost, last_lost] = [first_lost, last_lost].map(|seq| seq.parse::<usize>().unwrap());
        assert!((first_lost..=40).contains(&last_lost), "{gap}");
        // Whoever takes between three quarters of the bound and the bound was warned before.
        updates.retain(|update| !update.starts_with("change LagWarning"));
        assert_eq!(updates.len(), first_lost - 1, "what was not lost was delivered");
        assert_eq!(outcome.status().code(), Code::ResourceExhausted);
        let details = outcome.status().get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("SLOW_READER", "datafacade"));
        let resume: usize = info.metadata["v/T/1/"].parse().unwrap();
        assert_eq!(resume + 1, first_lost);
        assert_eq!(info.metadata["epoch"], "1700000000");
        assert_eq!(service.edge.stats().streams_cut_slow, 1);
    });
}

#[test]
fn a_write_that_stands_still_cuts_its_stream_and_no_other() {
    let mut options = quiet();
    options.limits.blocked_max = Duration::from_millis(100);
    let service = Service::echo(options);
    run(async {
        let mut builder = h2::client::Builder::new();
        builder.initial_connection_window_size(4 << 20);
        let mut client = Client::connect_with(service.port, builder).await;
        let mut stopped = subscribe(&mut client, true).await;
        let mut reading = subscribe(&mut client, true).await;
        // More than the stream's window (64 KiB) and less than what a subscriber may owe (1 MiB). Each record is read
        // before the next one comes: no window ever holds up the one who reads.
        let record = "x".repeat(20_000);
        for _ in 0..12 {
            service.publish(record.as_bytes());
            assert_eq!(next(&mut reading).await.updates, [record.as_str()]);
        }
        eventually("the cut", || service.edge.stats().streams_cut_blocked == 1).await;
        eventually("one subscriber", || service.hub.stats().subscribers == 1).await;
        service.publish(b"still here");
        assert_eq!(next(&mut reading).await.updates, ["still here"]);
        let error = loop {
            match stopped.next().await {
                Ok(message) => assert!(message.is_some(), "the stream has no trailers"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.reason(), Some(h2::Reason::CANCEL));
    });
}

#[test]
fn a_slow_but_steady_reader_is_not_cut() {
    let mut options = quiet();
    options.limits.blocked_max = Duration::from_millis(300);
    let service = Service::echo(options);
    run(async {
        let mut client = Client::connect(service.port).await;
        let mut call = subscribe(&mut client, true).await;
        service.publish(&vec![b'x'; 500_000]);
        let mut bytes = 0;
        while bytes < 500_000 {
            bytes += call.next_piece().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(service.edge.stats().streams_cut_blocked, 0);
    });
}
