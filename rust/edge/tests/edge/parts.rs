//! Answers in several messages: in order, no faster than the client reads, and with an end of their own.

use std::time::Duration;

use facade_edge::{Code, Options, PartError};
use tonic_types::StatusExt;

use crate::support::{Client, HEALTH, Open, Service, bounds_of_time, eventually, options, run, timeout_text};

const MIB: usize = 1 << 20;

/// A service whose test plays the handler.
struct Played(Service);

impl Played {
    fn start(options: Options) -> Self {
        Self(Service::start(options, |_, call| Some(call)))
    }

    /// Opens a call and hands over its first part.
    async fn begin(&self, client: &mut Client, headers: &[(&str, &str)], first: &[u8]) -> Open {
        let call = self.0.hold(client, headers).await;
        assert_eq!(self.part(first), Ok(true));
        call
    }

    /// Opens a call with a bound of time and hands over its first part; `None`: the bound passed before that.
    async fn begin_in_time(
        &self,
        client: &mut Client,
        headers: &[(&str, &str)],
        first: &[u8],
    ) -> Option<Open> {
        let mut call = client.open(HEALTH, headers).await;
        call.send(b"", true);
        let is_expired = || self.0.edge.stats().calls_expired == 1;
        eventually("the call", || !self.0.held.lock().unwrap().is_empty() || is_expired()).await;
        let is_held = !self.0.held.lock().unwrap().is_empty();
        let mut is_taken = false;
        if is_held && self.part(first) == Ok(true) {
            eventually("credit", || {
                is_taken = !self.0.edge.bridge().credited().is_empty();
                is_taken || is_expired()
            })
            .await;
        }
        is_taken.then_some(call)
    }

    fn part(&self, message: &[u8]) -> Result<bool, PartError> {
        self.0.held.lock().unwrap()[0].part(message)
    }

    fn reply(&self, message: &[u8]) -> bool {
        self.0.held.lock().unwrap()[0].reply(message, 6)
    }

    async fn credit(&self) {
        let id = self.0.held.lock().unwrap()[0].id();
        eventually("credit", || self.0.edge.bridge().credited() == [id]).await;
    }

    /// Waits until nothing of the call is left, and returns whether its handler was told.
    async fn is_told_and_freed(&self) -> bool {
        let id = self.0.held.lock().unwrap()[0].id();
        eventually("the end", || self.0.edge.is_idle() && self.0.edge.stats().calls_open == 0).await;
        assert_eq!(self.part(b"late"), Ok(false));
        self.0.edge.bridge().cancelled() == [id]
    }
}

#[test]
fn parts_arrive_in_order_and_the_last_one_alone_is_served() {
    let mut options = options();
    options.served_methods.insert(HEALTH.to_owned());
    let played = Played::start(options);
    run(async {
        let mut client = Client::connect(played.0.port).await;
        let mut call = played.begin(&mut client, &[], b"\x0a\x01a").await;
        played.credit().await;
        assert_eq!(played.part(&vec![7; MIB]), Ok(true));
        played.credit().await;
        assert!(played.reply(b"\x0a\x01c"));
        let outcome = call.outcome().await;
        assert!(outcome.status.is_none());
        let [first, second, last] = &outcome.messages[..] else {
            panic!("{} messages", outcome.messages.len())
        };
        assert_eq!((&first[..], &second[..]), (&b"\x0a\x01a"[..], &vec![7; MIB][..]));
        assert_eq!((&last[..3], last[3], &last[5..7]), (&b"\x0a\x01c"[..], 15 << 3 | 2, &[0x08, 6][..]));
        assert!(!played.is_told_and_freed().await, "what is answered is not cancelled");
    });
}

#[test]
fn a_client_that_reads_nothing_holds_two_parts() {
    let mut options = options();
    options.limits.blocked_max = Duration::from_mins(10);
    let played = Played::start(options);
    run(async {
        let mut client = Client::connect(played.0.port).await;
        let mut call = played.begin(&mut client, &[], &vec![7; MIB]).await;
        call.headers().await;
        played.credit().await;
        assert_eq!(played.part(&vec![7; MIB]), Ok(true));
        assert_eq!(played.part(&vec![7; MIB]), Err(PartError::NoCredit));
        call.reset();
        assert!(played.is_told_and_freed().await);
        assert!(played.0.edge.bridge().credited().is_empty(), "the second part was never taken");
        assert!(played.0.edge.stats().bytes_sent <= MIB as u64 + 5);
    });
}

#[test]
fn a_client_that_reads_nothing_of_a_part_is_cut() {
    let mut options = options();
    options.limits.blocked_max = Duration::from_millis(200);
    let played = Played::start(options);
    run(async {
        let mut client = Client::connect(played.0.port).await;
        let mut call = played.begin(&mut client, &[], &vec![7; MIB]).await;
        call.headers().await;
        assert!(played.is_told_and_freed().await);
        assert_eq!(played.0.edge.stats().streams_cut_blocked, 1);
        assert!(played.0.edge.stats().bytes_sent <= MIB as u64 + 5);
    });
}

#[test]
fn sixty_four_parts_pass_through_the_window_of_a_client_that_reads() {
    let played = Played::start(options());
    run(async {
        let mut client = Client::connect(played.0.port).await;
        let mut call = played.begin(&mut client, &[], &vec![0; 100_000]).await;
        let handler = async {
            for number in 1..64 {
                played.credit().await;
                assert_eq!(played.part(&vec![number; 100_000]), Ok(true));
            }
            played.credit().await;
            assert!(played.reply(b""));
        };
        let (outcome, ()) = tokio::join!(call.outcome(), handler);
        let told: Vec<u8> = outcome.messages.iter().filter_map(|message| message.first().copied()).collect();
        assert_eq!(told, (0..64).collect::<Vec<u8>>());
        assert_eq!(outcome.messages.len(), 65);
    });
}

#[test]
fn a_refusal_behind_a_part_ends_the_call_with_its_status() {
    let played = Played::start(options());
    run(async {
        let mut client = Client::connect(played.0.port).await;
        let mut call = played.begin(&mut client, &[], b"one").await;
        assert!(played.0.held.lock().unwrap()[0].fail(Code::DataLoss, "damaged", b"\x08\x0f"));
        let outcome = call.outcome().await;
        assert_eq!(outcome.messages, [&b"one"[..]]);
        assert_eq!((outcome.status().code(), outcome.status().details()), (Code::DataLoss, &b"\x08\x0f"[..]));
        assert_eq!(played.0.edge.stats().unary_failed, 1);
    });
}

#[test]
fn a_handler_that_forgets_a_call_that_has_begun_gives_internal() {
    let played = Played::start(options());
    run(async {
        let mut client = Client::connect(played.0.port).await;
        let mut call = played.begin(&mut client, &[], b"one").await;
        played.0.held.lock().unwrap().clear();
        assert_eq!(call.outcome().await.status().code(), Code::Internal);
    });
}

/// Lets the deadline of a call pass; returns whether the call had begun by then.
fn let_pass(deadline: Duration) -> bool {
    let played = Played::start(options());
    run(async {
        let mut client = Client::connect(played.0.port).await;
        let headers = [("grpc-timeout", &*timeout_text(deadline))];
        let Some(mut call) = played.begin_in_time(&mut client, &headers, b"one").await else { return false };
        assert_eq!(call.outcome().await.status().code(), Code::DeadlineExceeded);
        assert!(played.is_told_and_freed().await);
        assert_eq!(played.0.edge.stats().calls_expired, 1);
        true
    })
}

#[test]
fn the_client_s_deadline_ends_a_call_that_has_begun() {
    assert!(bounds_of_time().any(let_pass));
}

/// Lets both bounds of a call pass; returns whether it had begun within the first.
fn let_both_pass(unary_max: Duration) -> bool {
    let mut options = options();
    options.limits.unary_max = unary_max;
    options.limits.parts_max = unary_max * 2;
    let played = Played::start(options);
    run(async {
        let begin = std::time::Instant::now();
        let mut client = Client::connect(played.0.port).await;
        let Some(mut call) = played.begin_in_time(&mut client, &[], b"one").await else { return false };
        let outcome = call.outcome().await;
        assert!(begin.elapsed() >= unary_max * 2);
        assert_eq!(outcome.status().code(), Code::Unavailable);
        assert_eq!(outcome.status().get_error_details().error_info().unwrap().reason, "TIME_LIMIT");
        true
    })
}

#[test]
fn a_call_that_has_begun_has_a_bound_of_its_own() {
    assert!(bounds_of_time().any(let_both_pass));
}

/// Lets the deadline of a call pass whose client reads nothing; returns whether the call had begun by then.
fn let_pass_unread(deadline: Duration) -> bool {
    let played = Played::start(options());
    run(async {
        let mut client = Client::connect(played.0.port).await;
        let headers = [("grpc-timeout", &*timeout_text(deadline))];
        let begun = played.begin_in_time(&mut client, &headers, &vec![7; MIB]).await;
        let Some(mut call) = begun else { return false };
        call.headers().await;
        assert!(played.is_told_and_freed().await);
        assert_eq!(played.0.edge.stats().streams_cut_blocked, 0, "its time was over before");
        true
    })
}

#[test]
fn a_deadline_frees_what_a_client_that_reads_nothing_holds() {
    assert!(bounds_of_time().any(let_pass_unread));
}

#[test]
fn row_e13_a_client_that_leaves_between_two_parts_stops_the_handler() {
    let played = Played::start(options());
    run(async {
        let mut client = Client::connect(played.0.port).await;
        let mut call = played.begin(&mut client, &[], b"one").await;
        call.headers().await;
        call.reset();
        assert!(played.is_told_and_freed().await);
    });
}

#[test]
fn a_drain_ends_a_call_that_has_begun() {
    let played = Played::start(options());
    run(async {
        let mut client = Client::connect(played.0.port).await;
        let mut call = played.begin(&mut client, &[], b"one").await;
        call.headers().await;
        played.0.edge.drain(Duration::from_millis(10)).unwrap();
        let outcome = call.outcome().await;
        assert_eq!(outcome.status().get_error_details().error_info().unwrap().reason, "DRAINING");
    });
}

#[test]
fn a_subscription_is_accepted_by_a_reply_and_by_no_part() {
    let played = Played::start(options());
    run(async {
        let mut client = Client::connect(played.0.port).await;
        let mut call = client.subscribe(false).await;
        eventually("the call", || played.0.held.lock().unwrap().len() == 1).await;
        assert_eq!(played.part(b"one"), Ok(true));
        assert_eq!(call.outcome().await.status().code(), Code::Internal);
    });
}
