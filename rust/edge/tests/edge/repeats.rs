//! Answers out of the cache through a real connection: what is repeated, what never is, and who refreshes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use facade_cache::{AnswerCache, Bounds, CLASSES, Class, Clock, NewAnswer};
use facade_edge::{Call, Options, Provenance, Repeats};

use crate::support::{self, Client, HEALTH, Service, eventually, options, run, varint};

const KLINES: &str = "/datafacade.v1.DataFacadeService/WarmKlines";
const SECOND: u64 = 1_000_000_000;
/// `WarmKlinesRequest` { venue: "kraken", limit: 24 }.
const REQUEST: &[u8] = b"\x0a\x06kraken\x20\x18";

#[derive(Default)]
struct Manual(AtomicU64);

impl Clock for Manual {
    fn mono_ns(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The requests that reached the handler, and whether the edge itself asked.
type Asked = Arc<Mutex<Vec<(Vec<u8>, bool)>>>;

struct Warm {
    service: Service,
    answers: Arc<AnswerCache>,
    clock: Arc<Manual>,
    asked: Asked,
}

/// Puts each answer into the cache under its venue, as a handler of the warm tier does, and keeps what was asked.
fn warm() -> Warm {
    warm_with(|call, _| {
        call.reply_with(b"fresh", Provenance { cache_tier: 1, ..Provenance::default() }, "klines:kraken");
        None
    })
}

fn warm_with(answer: impl Fn(Call, &AnswerCache) -> Option<Call> + Send + 'static) -> Warm {
    let clock = Arc::new(Manual::default());
    let classes = CLASSES.iter().map(|&(name, ttl_ms)| Class { name: name.into(), ttl_ms });
    let bounds = Bounds { entries_max: 100, bytes_max: 0 };
    let answers = Arc::new(AnswerCache::new(bounds, classes, Arc::clone(&clock) as _));
    let fields = HashMap::from([(KLINES.to_owned(), (1..=6).collect())]);
    let repeats = Some(Repeats { answers: Arc::clone(&answers), fields });
    let served_methods = [KLINES.to_owned(), HEALTH.to_owned()].into();
    let asked: Asked = Arc::default();
    let service = Service::start(Options { repeats, served_methods, ..options() }, {
        let (answers, asked) = (Arc::clone(&answers), Arc::clone(&asked));
        move |_, call| {
            let question = call.question();
            asked.lock().unwrap().push((question.request.to_vec(), question.is_refresh));
            put(&answers, "klines:kraken", b"fresh");
            answer(call, &answers)
        }
    });
    Warm { service, answers, clock, asked }
}

fn put(answers: &AnswerCache, key: &str, message: &[u8]) {
    let new = NewAnswer {
        key,
        message,
        class: "prices_warm",
        ts_cached: 1_000 * 1_000_000_000,
        ttl_ns: 30 * SECOND,
        stale_ns: 600 * SECOND,
        age_ns: 0,
        owner: "",
    };
    answers.put(new).unwrap();
}

/// `Served`, read by the rules of protobuf.
#[derive(Debug, Default, PartialEq)]
struct Served {
    cache_tier: u64,
    age_ns: u64,
    ts_cached: i64,
    ts_expires: i64,
    is_stale: bool,
    snapshot_id: String,
    penalty: f64,
}

/// Splits an answer into its message and field 15, which must be the last.
fn split(answer: &[u8], message_len: usize) -> (&[u8], Served) {
    let (message, mut rest) = answer.split_at(message_len);
    assert_eq!(rest[0], 15 << 3 | 2);
    assert_eq!(usize::from(rest[1]), rest.len() - 2);
    rest = &rest[2..];
    let mut served = Served::default();
    while let Some((&tag, tail)) = rest.split_first() {
        rest = tail;
        match (tag >> 3, tag & 7) {
            (number, 0) => {
                let value = varint(&mut rest);
                match number {
                    1 => served.cache_tier = value,
                    2 => served.age_ns = value,
                    5 => served.is_stale = value != 0,
                    7 => {}
                    other => panic!("field {other}"),
                }
            }
            (number, 1) => {
                let (bytes, tail) = rest.split_first_chunk::<8>().unwrap();
                rest = tail;
                match number {
                    3 => served.ts_cached = i64::from_le_bytes(*bytes),
                    4 => served.ts_expires = i64::from_le_bytes(*bytes),
                    8 => served.penalty = f64::from_le_bytes(*bytes),
                    other => panic!("field {other}"),
                }
            }
            (6, 2) => {
                let length = usize::try_from(varint(&mut rest)).unwrap();
                let (text, tail) = rest.split_at(length);
                rest = tail;
                served.snapshot_id = String::from_utf8(text.to_vec()).unwrap();
            }
            other => panic!("field {other:?}"),
        }
    }
    (message, served)
}

#[test]
fn an_exact_repeat_is_answered_without_the_handler_and_says_so() {
    let warm = warm();
    run(async {
        let mut client = Client::connect(warm.service.port).await;
        let first = client.unary(KLINES, REQUEST, &[]).await;
        let (message, made) = split(&first.messages[0], 5);
        assert_eq!((message, made.cache_tier, made.ts_cached), (&b"fresh"[..], 1, 0));
        warm.clock.0.store(10 * SECOND, Ordering::Relaxed);
        let again = client.unary(KLINES, REQUEST, &[]).await;
        let (message, served) = split(&again.messages[0], 5);
        assert_eq!(message, b"fresh");
        let expected = Served {
            cache_tier: 2,
            age_ns: 10 * SECOND,
            ts_cached: 1_000_000_000_000,
            ts_expires: 1_030_000_000_000,
            snapshot_id: made.snapshot_id,
            ..Served::default()
        };
        assert_eq!(served, expected);
    });
    assert_eq!(*warm.asked.lock().unwrap(), [(REQUEST.to_vec(), false)]);
    let stats = warm.service.edge.stats();
    assert_eq!((stats.unary_total, stats.unary_repeated, stats.refreshes_posted), (2, 1, 0));
}

#[test]
fn other_bytes_other_methods_the_past_and_unknown_fields_reach_the_handler() {
    let warm = warm();
    let as_of = [REQUEST, &[14 << 3 | 1, 0, 0, 0, 0, 0, 0, 0, 1]].concat();
    let snapshot = [REQUEST, &[15 << 3 | 2, 1, b'x']].concat();
    let unknown = [REQUEST, &[0xfa, 0x01, 1, 1]].concat(); // field 31
    let requests = [&as_of[..], &snapshot, &unknown];
    run(async {
        let mut client = Client::connect(warm.service.port).await;
        client.unary(KLINES, REQUEST, &[]).await;
        for _ in 0..2 {
            for request in requests {
                client.unary(KLINES, request, &[]).await;
            }
            client.unary(HEALTH, REQUEST, &[]).await;
        }
    });
    assert_eq!(warm.asked.lock().unwrap().len(), 1 + 2 * (requests.len() + 1));
    assert_eq!((warm.answers.aliases(), warm.service.edge.stats().unary_repeated), (1, 0));
}

#[test]
fn a_stale_answer_is_served_flagged_and_refreshed_once_until_that_is_done() {
    let warm = warm_with(|call, _| if call.question().is_refresh { Some(call) } else { reply(&call) });
    run(async {
        let mut client = Client::connect(warm.service.port).await;
        client.unary(KLINES, REQUEST, &[]).await;
        put(&warm.answers, "klines:kraken", b"older");
        warm.clock.0.store(180 * SECOND, Ordering::Relaxed);
        let held = &warm.service.held;
        for _ in 0..3 {
            let outcome = client.unary(KLINES, REQUEST, &[]).await;
            let (message, served) = split(&outcome.messages[0], 5);
            let is_new = message == b"fresh";
            assert_eq!((is_new, served.is_stale), (is_new, !is_new));
            if !is_new {
                assert_eq!(served.age_ns, 180 * SECOND);
                assert!((served.penalty - 0.448_168_907).abs() < 1e-6, "0.1 * e^1.5 (D2)");
            }
        }
        eventually("the refresh", || held.lock().unwrap().len() == 1).await;
        let question = held.lock().unwrap()[0].question().clone();
        assert_eq!((question.request.to_vec(), question.is_refresh), (REQUEST.to_vec(), true));
        assert!(question.deadline_ns.unwrap() > support::now().mono_ns);
        // Nobody waits for it; its answer is in the cache already.
        assert!(held.lock().unwrap()[0].reply(b"", 1));
        let outcome = client.unary(KLINES, REQUEST, &[]).await;
        let (message, served) = split(&outcome.messages[0], 5);
        assert_eq!((message, served.is_stale), (&b"fresh"[..], false));
    });
    assert_eq!(warm.service.edge.stats().refreshes_posted, 1);
}

fn reply(call: &Call) -> Option<Call> {
    call.reply_with(b"fresh", Provenance { cache_tier: 1, ..Provenance::default() }, "klines:kraken");
    None
}

#[test]
fn a_refresh_that_fails_leaves_the_answer_and_the_next_hit_tries_again() {
    let warm = warm_with(|call, answers| {
        if call.question().is_refresh {
            // As a handler whose venue is down: the answer stays as it was.
            put(answers, "klines:kraken", b"older");
            call.fail(facade_edge::Code::Unavailable, "down", b"");
            return None;
        }
        reply(&call)
    });
    run(async {
        let mut client = Client::connect(warm.service.port).await;
        client.unary(KLINES, REQUEST, &[]).await;
        for round in 1..4u64 {
            warm.clock.0.fetch_add(100 * SECOND, Ordering::Relaxed);
            let outcome = client.unary(KLINES, REQUEST, &[]).await;
            assert!(split(&outcome.messages[0], 5).1.is_stale);
            eventually("the refresh", || {
                warm.asked.lock().unwrap().iter().filter(|(_, is_refresh)| *is_refresh).count() as u64
                    == round
            })
            .await;
            eventually("its end", || warm.service.edge.stats().calls_open == 0).await;
        }
    });
}

#[test]
fn a_hot_answer_is_made_anew_before_its_time_is_over() {
    let warm = warm();
    run(async {
        let mut client = Client::connect(warm.service.port).await;
        for _ in 0..3 {
            client.unary(KLINES, REQUEST, &[]).await;
        }
        warm.clock.0.store(25 * SECOND, Ordering::Relaxed);
        let outcome = client.unary(KLINES, REQUEST, &[]).await;
        assert!(!split(&outcome.messages[0], 5).1.is_stale);
        eventually("the refresh", || warm.service.edge.stats().refreshes_posted == 1).await;
        eventually("its answer", || warm.answers.peek("klines:kraken").unwrap().age_ns == 0).await;
    });
}

#[test]
fn limits_come_before_the_cache_and_a_draining_server_repeats_nothing() {
    let warm = warm();
    run(async {
        let mut client = Client::connect(warm.service.port).await;
        client.unary(KLINES, REQUEST, &[]).await;
        let large = client.unary(KLINES, REQUEST, &[("x-large", &"x".repeat(9_000))]).await;
        assert_eq!(large.status().code(), facade_edge::Code::ResourceExhausted);
        let late = client.unary(KLINES, REQUEST, &[("grpc-timeout", "soon")]).await;
        assert_eq!(late.status().code(), facade_edge::Code::InvalidArgument);
        warm.service.edge.drain(std::time::Duration::from_secs(5)).unwrap();
        let drained = client.unary(KLINES, REQUEST, &[]).await;
        assert_eq!(drained.status().code(), facade_edge::Code::Unavailable);
    });
    assert_eq!(warm.service.edge.stats().unary_repeated, 0);
}

#[test]
fn a_large_answer_is_repeated_whole() {
    let warm = warm_with(|call, answers| {
        put(answers, "klines:kraken", &vec![7; 1 << 20]);
        call.reply_with(&vec![7; 1 << 20], Provenance::default(), "klines:kraken");
        None
    });
    run(async {
        let mut client = Client::connect(warm.service.port).await;
        for tier in [0, 2] {
            let outcome = client.unary(KLINES, REQUEST, &[]).await;
            let (message, served) = split(&outcome.messages[0], 1 << 20);
            assert!(message.iter().all(|&byte| byte == 7));
            assert_eq!(served.cache_tier, tier);
        }
    });
}
