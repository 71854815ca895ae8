//! The machine against a venue that misbehaves: whatever is lost, doubled or swapped, LIVE means right.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use facade_feed::{BookMachine, BufferBounds, ChainRule, ChecksumRule, MachineRules, Message, Outcome};
use facade_model::{BookSide, Decimal, LevelChange, StreamPhase};
use facade_venues::Sequence;
use proptest::prelude::*;

/// The truth: a plain map a side, as the venue holds it.
#[derive(Debug, Clone, Default)]
struct Truth {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
    last: u64,
}

/// One message of the venue, with the state that it leads to.
#[derive(Debug, Clone)]
struct Sent {
    sequence: Sequence,
    levels: Vec<LevelChange>,
    truth: Truth,
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    Drop,
    Double,
    Swap,
}

impl Truth {
    fn change(&mut self, is_bid: bool, step: i64, qty: i64) -> LevelChange {
        // bids below 1000, asks above: the truth is never crossed
        let (side, px) = if is_bid { (&mut self.bids, 999 - step) } else { (&mut self.asks, 1_001 + step) };
        if qty == 0 {
            side.remove(&px);
        } else {
            side.insert(px, qty);
        }
        let book_side = if is_bid { BookSide::Bid } else { BookSide::Ask };
        LevelChange { side: book_side, px: Decimal::new(px, -1).canonical(), qty: Decimal::new(qty, 0) }
    }

    fn levels(&self) -> Vec<LevelChange> {
        let level = |side, px: &i64, qty: &i64| LevelChange {
            side,
            px: Decimal::new(*px, -1).canonical(),
            qty: Decimal::new(*qty, 0),
        };
        let bids = self.bids.iter().map(|(px, qty)| level(BookSide::Bid, px, qty));
        bids.chain(self.asks.iter().map(|(px, qty)| level(BookSide::Ask, px, qty))).collect()
    }
}

fn assert_equal(machine: &BookMachine, truth: &Truth) {
    let ours = |levels: Vec<facade_model::Level>| -> BTreeMap<i64, i64> {
        levels.iter().map(|level| (level.px.rescale(-1).unwrap(), level.qty.rescale(0).unwrap())).collect()
    };
    assert_eq!(ours(machine.book().bids().collect()), truth.bids);
    assert_eq!(ours(machine.book().asks().collect()), truth.asks);
}

/// Makes the messages of a venue: chained by `rule`, each with the truth behind it.
fn history(rule: ChainRule, steps: &[(bool, i64, i64, u64)]) -> Vec<Sent> {
    let mut truth = Truth { last: 100, ..Truth::default() };
    steps
        .iter()
        .map(|&(is_bid, step, qty, width)| {
            let previous = truth.last;
            let levels = vec![truth.change(is_bid, step, qty)];
            let first = if rule == ChainRule::BinanceFutures { previous + 3 } else { previous + 1 };
            truth.last = first + width;
            let sequence = Sequence {
                first: (rule != ChainRule::Okx).then_some(first),
                last: Some(truth.last),
                previous: (rule != ChainRule::BinanceSpot).then_some(previous),
            };
            Sent { sequence, levels, truth: truth.clone() }
        })
        .collect()
}

/// What reaches us: the history with faults, as indices into it.
fn arrivals(faults: &[Fault], count: usize) -> Vec<usize> {
    let mut order = Vec::new();
    let mut at = 0;
    while at < count {
        match faults.get(at % faults.len()).unwrap() {
            Fault::Drop => {}
            Fault::Double => order.extend([at, at]),
            Fault::Swap if at + 1 < count => {
                order.extend([at + 1, at]);
                at += 1;
            }
            Fault::None | Fault::Swap => order.push(at),
        }
        at += 1;
    }
    order
}

fn rules(chain: ChainRule) -> MachineRules {
    MachineRules {
        chain,
        checksum: ChecksumRule::None,
        bridges_rest: chain != ChainRule::Okx,
        depth_max: None,
        buffer: BufferBounds { deltas_max: 1_000, bytes_max: 1 << 20 },
        report_every: 0,
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![12 => Just(Fault::None), 1 => Just(Fault::Drop), 1 => Just(Fault::Double), 1 => Just(Fault::Swap)]
}

fn message(sent: &Sent) -> Message<'_> {
    Message { sequence: sent.sequence, checksum: None, ts_event: 0, ts_recv: 0, levels: &sent.levels }
}

/// Runs a machine over the arrivals; a snapshot of the newest truth, `lag` messages old, answers each break.
fn run(chain: ChainRule, sent: &[Sent], order: &[usize], lag: usize) -> (u32, u32) {
    let mut machine = BookMachine::new(rules(chain), -1);
    let (mut lives, mut breaks) = (0, 0);
    for (&at, newest) in order.iter().zip(order.iter().scan(0, |most, &at| {
        *most = (*most).max(at);
        Some(*most)
    })) {
        let event = sent.get(at).unwrap();
        let outcome = machine.on_delta(&message(event));
        breaks += u32::from(matches!(outcome, Outcome::Broken(_)));
        if !machine.is_live() {
            let snapshot = &sent.get(newest.saturating_sub(lag)).unwrap().truth;
            let levels = snapshot.levels();
            if chain == ChainRule::Okx {
                let sequence = Sequence { last: Some(snapshot.last), ..Sequence::default() };
                machine.on_snapshot(&Message {
                    sequence,
                    checksum: None,
                    ts_event: 0,
                    ts_recv: 0,
                    levels: &levels,
                });
            } else {
                machine.on_rest_snapshot(&levels, snapshot.last);
            }
        }
        if machine.is_live() {
            lives += 1;
            let last = machine.last().unwrap();
            let truth = &sent.iter().find(|sent| sent.truth.last == last).unwrap().truth;
            assert_equal(&machine, truth);
            assert_eq!(machine.phase(), StreamPhase::Live);
        }
    }
    (lives, breaks)
}

fn steps() -> impl Strategy<Value = Vec<(bool, i64, i64, u64)>> {
    prop::collection::vec((any::<bool>(), 0_i64..12, 0_i64..4, 0_u64..5), 20..120)
}

proptest! {
    #[test]
    fn row_b01_binance_spot_book_is_right_whenever_it_is_live(
        steps in steps(), faults in prop::collection::vec(fault(), 20..60), lag in 0_usize..3,
    ) {
        let sent = history(ChainRule::BinanceSpot, &steps);
        run(ChainRule::BinanceSpot, &sent, &arrivals(&faults, sent.len()), lag);
    }

    #[test]
    fn binance_futures_book_is_right_whenever_it_is_live(
        steps in steps(), faults in prop::collection::vec(fault(), 20..60), lag in 0_usize..3,
    ) {
        let sent = history(ChainRule::BinanceFutures, &steps);
        run(ChainRule::BinanceFutures, &sent, &arrivals(&faults, sent.len()), lag);
    }

    #[test]
    fn row_b02_okx_book_is_right_whenever_it_is_live(
        steps in steps(), faults in prop::collection::vec(fault(), 20..60),
    ) {
        let sent = history(ChainRule::Okx, &steps);
        run(ChainRule::Okx, &sent, &arrivals(&faults, sent.len()), 0);
    }
}

#[test]
fn flawless_history_never_breaks_and_goes_live() {
    let steps: Vec<_> = (0..50).map(|at| (at % 2 == 0, at % 7, at % 4, 1)).collect();
    for chain in [ChainRule::BinanceSpot, ChainRule::BinanceFutures, ChainRule::Okx] {
        let sent = history(chain, &steps);
        let order: Vec<usize> = (0..sent.len()).collect();
        let (lives, breaks) = run(chain, &sent, &order, 0);
        assert_eq!(breaks, 0, "{chain:?}");
        assert!(lives >= 48, "{chain:?}: {lives}");
    }
}

#[test]
fn row_b15_full_buffer_starts_over_and_is_never_trimmed() {
    let mut small = rules(ChainRule::BinanceSpot);
    small.buffer.deltas_max = 3;
    let sent = history(ChainRule::BinanceSpot, &[(true, 1, 1, 0); 10]);
    let mut machine = BookMachine::new(small, -1);
    let outcomes: Vec<Outcome> = sent.iter().map(|sent| machine.on_delta(&message(sent))).collect();
    assert!(outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Refetch(_))).count() >= 2);
    let old = &sent.first().unwrap().truth;
    assert!(matches!(machine.on_rest_snapshot(&old.levels(), old.last), Outcome::Refetch(_)));
    assert!(!machine.is_live());
}

#[test]
fn row_b14_rest_snapshot_never_replaces_a_live_book() {
    let sent = history(ChainRule::BinanceSpot, &[(true, 1, 1, 0), (true, 2, 2, 0), (false, 1, 3, 0)]);
    let mut machine = BookMachine::new(rules(ChainRule::BinanceSpot), -1);
    machine.on_delta(&message(sent.first().unwrap()));
    let first = &sent.first().unwrap().truth;
    assert_eq!(machine.on_rest_snapshot(&first.levels(), first.last), Outcome::Synced);
    for event in sent.iter().skip(1) {
        assert_eq!(machine.on_delta(&message(event)), Outcome::Applied);
    }
    assert_eq!(machine.on_rest_snapshot(&first.levels(), first.last), Outcome::Ignored);
    assert_equal(&machine, &sent.last().unwrap().truth);
}

#[test]
fn row_b16_crossed_book_is_not_live_until_it_uncrosses() {
    let level = |side, px, qty| LevelChange { side, px: Decimal::new(px, 0), qty: Decimal::new(qty, 0) };
    let mut machine = BookMachine::new(rules(ChainRule::Okx), 0);
    let whole = [level(BookSide::Bid, 10, 1), level(BookSide::Ask, 11, 1)];
    let at = |last, previous| Sequence { first: None, last: Some(last), previous };
    let send = |machine: &mut BookMachine, sequence, levels: &[LevelChange]| {
        machine.on_delta(&Message { sequence, checksum: None, ts_event: 0, ts_recv: 0, levels })
    };
    let snapshot = Message { sequence: at(1, None), checksum: None, ts_event: 0, ts_recv: 0, levels: &whole };
    assert_eq!(machine.on_snapshot(&snapshot), Outcome::Synced);
    assert_eq!(send(&mut machine, at(2, Some(1)), &[level(BookSide::Bid, 11, 1)]), Outcome::Crossed);
    assert!(!machine.is_live());
    assert_eq!(send(&mut machine, at(3, Some(2)), &[level(BookSide::Bid, 9, 1)]), Outcome::StillCrossed);
    assert_eq!(send(&mut machine, at(4, Some(3)), &[level(BookSide::Bid, 11, 0)]), Outcome::Synced);
    assert!(machine.is_live());
    for last in 5..14 {
        let outcome = send(&mut machine, at(last, Some(last - 1)), &[level(BookSide::Bid, 12, 1)]);
        assert!(matches!(outcome, Outcome::Crossed | Outcome::StillCrossed), "{last}: {outcome:?}");
    }
    let outcome = send(&mut machine, at(14, Some(13)), &[level(BookSide::Bid, 12, 1)]);
    assert!(matches!(outcome, Outcome::Broken(_)), "ten crossed updates are enough");
}
