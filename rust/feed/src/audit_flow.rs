//! When a book is audited, and what follows. One audit of a feed at a time: a look, and a second one where the first found
//! a difference, since only what differs twice in the same way, unchanged on our side all the while, is damage.

use facade_model::{Channel, Decimal, InstrumentStatus, LevelChange, StateReason};
use facade_venues::{BookEvent, Decoded, Event, RestRequest};

use crate::audit::{Finding, Notes, Rest, Suspect, compare};
use crate::feed::Feed;
use crate::fetches::Purpose;
use crate::machine::BookMachine;
use crate::publish::Origin;
use crate::stream::Stream;
use crate::whole::View;

/// How long an answer is waited for: behind all that is more urgent.
const ANSWER_NS: i64 = 10_000_000_000;

/// An audit under way.
#[derive(Debug)]
pub(crate) struct Audit {
    stream: usize,
    step: Step,
    /// When the step ends at the latest, monotonic ns.
    due: i64,
    /// Where the book stood when the notes began.
    since: Mark,
    notes: Notes,
    /// What the first look found; a price that changed since is no longer among them.
    suspects: Vec<Suspect>,
}

#[derive(Debug)]
enum Step {
    /// Changes are noted; REST is asked at the end.
    Noting,
    /// REST was asked.
    Asked { request_id: u64 },
    /// It answered; the stream has to pass that moment, at this number of the venue if there is one.
    Passing { rest: Rest, number: Option<u64> },
    /// The first look found a difference; the second one begins at the end.
    Suspecting,
}

/// A place in a book's stream.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    /// The venue's number of the last message, where its REST books carry such numbers.
    number: Option<u64>,
    /// Venue time of the last message (ours, if it told none), ns UTC.
    ts: i64,
}

/// How audits ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuditCounts {
    /// Nothing differed.
    pub agreed: u64,
    /// The first look found a difference; the same audit ends in another count, too.
    pub suspected: u64,
    /// Both looks found the same difference: the book was made anew.
    pub damaged: u64,
    /// Nothing can be said: no answer of use, an old one, too much changed, or the book was not LIVE throughout.
    pub inconclusive: u64,
}

impl Feed {
    /// Begins the audit that is due, or goes on with the one under way.
    pub(crate) fn audits_due(&mut self) {
        if self.config.audit_ns == 0 {
            return;
        }
        let Some(audit) = self.audit.take() else { return self.begin_audit() };
        if !self.streams.get(audit.stream).is_some_and(is_auditable) {
            self.stats.audits.inconclusive += 1;
        } else if self.publisher.now < audit.due && !self.has_passed(&audit) {
            self.audit = Some(audit);
        } else {
            self.go_on(audit);
        }
    }

    /// Notes what a message changes of a book that is audited.
    #[inline]
    pub(crate) fn note_changes(&mut self, stream: usize, levels: &[LevelChange]) {
        if let Some(audit) = self.audit.as_mut().filter(|audit| audit.stream == stream) {
            audit.take(levels);
        }
    }

    /// Ends the audit of a book that begins anew.
    pub(crate) fn drop_audit(&mut self, stream: usize) {
        if self.audit.take_if(|audit| audit.stream == stream).is_some() {
            self.stats.audits.inconclusive += 1;
        }
    }

    /// Plans the first audit of each book that is LIVE, and begins the one that is due for longest.
    fn begin_audit(&mut self) {
        let now = self.publisher.now;
        let mut next: Option<(i64, usize)> = None;
        for (stream, entry) in self.streams.iter_mut().enumerate().filter(|(_, entry)| is_auditable(entry)) {
            if entry.audit_at == 0 {
                entry.audit_at = now + 1 + self.audit_jitter.below(self.config.audit_ns);
            }
            if entry.audit_at <= now && next.is_none_or(|(at, _)| entry.audit_at < at) {
                next = Some((entry.audit_at, stream));
            }
        }
        let Some((_, stream)) = next.filter(|_| !self.is_resyncing()) else { return };
        let interval = self.config.audit_ns;
        let pause = interval / 4 * 3 + self.audit_jitter.below(interval / 2);
        let audit = Audit {
            stream,
            step: Step::Noting,
            due: 0,
            since: Mark::default(),
            notes: Notes::default(),
            suspects: Vec::new(),
        };
        if let Some(entry) = self.streams.get_mut(stream) {
            entry.audit_at = now + pause;
        }
        self.look(audit);
    }

    /// Begins a look: notes changes for a while before REST is asked, since its answer may be older than the question.
    fn look(&mut self, mut audit: Audit) {
        let Some(entry) = self.streams.get(audit.stream) else { return };
        audit.since = mark_of(entry);
        audit.step = Step::Noting;
        audit.due = self.publisher.now + self.config.audit_window_ns;
        self.audit = Some(audit);
    }

    /// Whether a book waits for its own answer of REST, which goes first.
    fn is_resyncing(&self) -> bool {
        self.fetches.values().any(|fetch| fetch.purpose == Purpose::Snapshot)
    }

    /// Whether the stream has passed the moment of an answer that is numbered.
    fn has_passed(&self, audit: &Audit) -> bool {
        let Step::Passing { number: Some(number), .. } = audit.step else { return false };
        let machine = self.streams.get(audit.stream).and_then(|entry| entry.machine.as_ref());
        machine.and_then(BookMachine::last).is_some_and(|last| last >= number)
    }

    /// Does what follows the end of a step.
    fn go_on(&mut self, mut audit: Audit) {
        let has_passed = self.has_passed(&audit);
        match std::mem::replace(&mut audit.step, Step::Suspecting) {
            Step::Noting if !self.is_resyncing() => self.ask_rest(audit),
            Step::Passing { rest, number } if number.is_none() || has_passed => self.judge(audit, &rest),
            Step::Suspecting if !audit.suspects.is_empty() => self.look(audit),
            _ => self.stats.audits.inconclusive += 1,
        }
    }

    fn ask_rest(&mut self, mut audit: Audit) {
        let (product, levels) = (self.config.product, self.config.snapshot_levels);
        let Some(entry) = self.streams.get(audit.stream) else { return };
        let Some(path) = product.snapshot_path(&entry.instrument.venue_symbol, levels) else { return };
        let request = RestRequest { path, weight: product.snapshot_weight(levels) };
        let request_id = self.fetch(audit.stream, Purpose::Audit, request);
        audit.step = Step::Asked { request_id };
        audit.due = self.publisher.now + ANSWER_NS;
        self.audit = Some(audit);
    }

    /// Takes the answer that an audit waits for. One from before the notes began says nothing of them.
    pub(crate) fn on_audit(&mut self, request_id: u64, body: Option<&[u8]>) {
        let is_awaited = |audit: &mut Audit| matches!(audit.step, Step::Asked { request_id: awaited } if awaited == request_id);
        let Some(mut audit) = self.audit.take_if(is_awaited) else { return };
        let mut decoded = Decoded::default();
        let product = self.config.product;
        let body = body.filter(|body| product.decode_snapshot(body, &mut decoded).is_ok());
        let (Some(body), Some(Event::Book(event))) = (body, decoded.events.first()) else {
            self.stats.fetch_failures += 1;
            self.stats.audits.inconclusive += 1;
            return;
        };
        let ts = if event.ts_event == 0 { product.newest_row(body).unwrap_or(0) } else { event.ts_event };
        if !audit.since.is_before(event, ts) {
            self.stats.audits.inconclusive += 1;
            return;
        }
        let number = audit.since.number.and(event.sequence.last);
        audit.step = Step::Passing { rest: Rest::new(decoded.levels_of(event)), number };
        audit.due = self.publisher.now + self.config.audit_window_ns;
        self.audit = Some(audit);
    }

    /// Compares, and does what the finding demands.
    fn judge(&mut self, mut audit: Audit, rest: &Rest) {
        let machine = self.streams.get(audit.stream).and_then(|entry| entry.machine.as_ref());
        let Some(machine) = machine else { return };
        let found = compare(machine.book(), machine.known(), rest, &mut audit.notes);
        let is_damaged = found.suspects.iter().any(|suspect| audit.suspects.contains(suspect));
        let is_second = !audit.suspects.is_empty();
        if audit.notes.is_overrun() {
            self.stats.audits.inconclusive += 1;
        } else if is_damaged {
            self.stats.audits.damaged += 1;
            self.break_and_resync(audit.stream, StateReason::AuditFailed);
        } else if !found.suspects.is_empty() && !is_second {
            self.suspect(audit, found);
        } else if found.suspects.is_empty() && found.levels > 0 && found.compared >= found.passed_over {
            self.stats.audits.agreed += 1;
            self.publish_audited(audit.stream, found.levels);
        } else {
            self.stats.audits.inconclusive += 1;
        }
    }

    /// Waits for the second look: caches of REST are over by then.
    fn suspect(&mut self, mut audit: Audit, found: Finding) {
        let pause = self.config.audit_confirm_ns;
        self.stats.audits.suspected += 1;
        audit.suspects = found.suspects;
        audit.notes.clear();
        audit.due = self.publisher.now + pause / 2 + self.audit_jitter.below(pause);
        audit.step = Step::Suspecting;
        self.audit = Some(audit);
    }

    /// Tells that a book was found right, down to so many levels.
    fn publish_audited(&mut self, stream: usize, levels: usize) {
        let venue = self.config.product.venue();
        let Some(entry) = self.streams.get_mut(stream) else { return };
        let Stream { instrument, usual, topics, machine: Some(machine), .. } = entry else { return };
        let Some(topic) = topics.get_mut(Channel::BookL2 as usize).and_then(Option::as_mut) else { return };
        let origin = Origin { venue, symbol: &instrument.symbol, usual: *usual };
        let (times, hashed) = (topic.times_last(), self.config.checkpoint_levels);
        let proven = u32::try_from(levels).unwrap_or(u32::MAX);
        self.publisher.audited(origin, topic, View::whole(machine), (hashed, proven), times);
    }
}

impl Audit {
    fn take(&mut self, levels: &[LevelChange]) {
        if !matches!(self.step, Step::Suspecting) {
            self.notes.take(levels);
            return;
        }
        let is_it = |suspect: &Suspect, px: Decimal| suspect.px == px.canonical();
        self.suspects.retain(|suspect| {
            !levels.iter().any(|level| level.side == suspect.side && is_it(suspect, level.px))
        });
    }
}

impl Mark {
    /// Whether a snapshot is of this place or a later one: by its number, else by its time, to whole seconds where only
    /// its rows tell one.
    fn is_before(&self, event: &BookEvent, ts: i64) -> bool {
        match (self.number, event.sequence.last) {
            (Some(since), last) => last.is_some_and(|last| last >= since),
            (None, _) => {
                ts != 0 && ts >= if event.ts_event == 0 { self.ts - self.ts % SECOND_NS } else { self.ts }
            }
        }
    }
}

const SECOND_NS: i64 = 1_000_000_000;

fn is_auditable(entry: &Stream) -> bool {
    let is_trading = entry.instrument.status == InstrumentStatus::Trading;
    is_trading && entry.is_book_live() && entry.machine.as_ref().is_some_and(BookMachine::is_live)
}

fn mark_of(entry: &Stream) -> Mark {
    let numbered = entry.machine.as_ref().filter(|machine| machine.rules().chain.numbers_rest());
    let ts = entry.topic(Channel::BookL2).map_or(0, |topic| topic.times_last().best());
    Mark { number: numbered.and_then(BookMachine::last), ts }
}
