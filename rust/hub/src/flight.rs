//! What a client was sent and has not acknowledged. Whoever acknowledged once is bounded by it, in a window of what it
//! handles in half a second, so that what it reads is never old. Times are nanoseconds of the taker's clock.

use std::collections::VecDeque;

/// Responses that are told apart; a longer tail is taken as one.
const RESPONSES_MAX: usize = 1_024;
/// A rate is measured over so long at least, nanoseconds.
const SAMPLE_NS_MIN: u64 = 20_000_000;
/// The window is what the client handles in this time, nanoseconds.
const WINDOW_NS: u64 = 500_000_000;
/// Of what flows, a window holds twice what was acknowledged in this time, nanoseconds: a client that could handle
/// more is not sent ahead, so that its transport holds little when it stops reading, and it learns why it is ended.
const FLOW_NS: u64 = 250_000_000;
/// A flow is never taken as less.
const FLOW_MIN: Load = Load { bytes: 8 << 10, records: 32 };
/// Records alone bound a client of small records, bytes.
const WINDOW_BYTES_MIN: u64 = 16 << 10;
/// A client may acknowledge so many times less often than it must.
const BATCHES: u64 = 2;
/// A window is given in so many responses at least: what comes in one can only be acknowledged at once.
const RESPONSES_MIN: u64 = 4;

/// A quantity of records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub bytes: u64,
    pub records: u64,
}

impl Load {
    pub const ALL: Self = Self { bytes: u64::MAX, records: u64::MAX };

    fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.records += other.records;
    }

    fn subtract(&mut self, other: Self) {
        self.bytes -= other.bytes;
        self.records -= other.records;
    }

    /// Returns how much it would be in `wanted_ns` if this took `elapsed_ns`, which is not 0.
    fn scaled(self, wanted_ns: u64, elapsed_ns: u64) -> Self {
        let scale = |figure: u64| {
            let scaled = u128::from(figure) * u128::from(wanted_ns) / u128::from(elapsed_ns);
            u64::try_from(scaled).unwrap_or(u64::MAX)
        };
        Self { bytes: scale(self.bytes), records: scale(self.records) }
    }

    /// Applies one function to both figures of two loads.
    fn zip(self, other: Self, join: impl Fn(u64, u64) -> u64) -> Self {
        Self { bytes: join(self.bytes, other.bytes), records: join(self.records, other.records) }
    }
}

/// One response.
#[derive(Debug, Clone, Copy)]
struct Sent {
    stream_seq: u64,
    load: Load,
    at_ns: u64,
}

/// Responses on their way, and how many may be.
#[derive(Debug)]
pub(crate) struct Flight {
    sent: VecDeque<Sent>,
    load: Load,
    /// `None` before the first acknowledgement.
    window: Option<Load>,
    /// Most that may be on its way, bytes.
    bytes_max: u64,
    /// What the client handles in [`WINDOW_NS`]; `None`: not measured yet.
    pace: Option<Load>,
    /// Acknowledged since the last measurement, and the time that it took.
    sample: (Load, u64),
    /// What the client acknowledged in the last [`FLOW_NS`].
    flow: Load,
    /// Acknowledged since, and since when.
    counted: (Load, u64),
    /// Largest load of one acknowledgement of late.
    batch: Load,
    acked_at_ns: u64,
    /// Since when nothing was given because the window is full; `None`: it is not.
    closed_at_ns: Option<u64>,
}

impl Flight {
    pub fn new(bytes_max: u64) -> Self {
        Self {
            sent: VecDeque::new(),
            load: Load::default(),
            window: None,
            bytes_max,
            pace: None,
            sample: (Load::default(), 0),
            flow: Load::default(),
            counted: (Load::default(), 0),
            batch: Load::default(),
            acked_at_ns: 0,
            closed_at_ns: None,
        }
    }

    /// Bytes on their way to a client that acknowledges.
    pub fn bytes(&self) -> u64 {
        if self.window.is_some() { self.load.bytes } else { 0 }
    }

    /// Whether the client has acknowledged anything.
    pub fn is_acknowledged(&self) -> bool {
        self.window.is_some()
    }

    /// Notes a response with records.
    pub fn send(&mut self, stream_seq: u64, load: Load, now_ns: u64) {
        self.load.add(load);
        if self.sent.len() < RESPONSES_MAX {
            self.sent.push_back(Sent { stream_seq, load, at_ns: now_ns });
        } else if self.window.is_none() {
            // Nobody acknowledges here: the newest responses are those of which a late beginner may speak.
            if let Some(oldest) = self.sent.pop_front() {
                self.load.subtract(oldest.load);
            }
            self.sent.push_back(Sent { stream_seq, load, at_ns: now_ns });
        } else if let Some(last) = self.sent.back_mut() {
            last.stream_seq = stream_seq;
            last.load.add(load);
        }
    }

    /// Returns what may be given now; `None`: nothing, before something is acknowledged.
    pub fn room(&mut self, now_ns: u64) -> Option<Load> {
        let Some(window) = self.window else { return Some(Load::ALL) };
        let is_open =
            self.sent.is_empty() || (self.load.bytes < window.bytes && self.load.records < window.records);
        if is_open {
            self.closed_at_ns = None;
            let part = |room: u64, window: u64| room.min(window.div_ceil(RESPONSES_MIN));
            return Some(window.zip(self.load, u64::saturating_sub).zip(window, part));
        }
        self.closed_at_ns.get_or_insert(now_ns);
        None
    }

    /// Notes that nothing waits to be given, so that nobody waits for an acknowledgement.
    pub fn rest(&mut self) {
        self.closed_at_ns = None;
    }

    /// Returns since when the window has been full without an acknowledgement.
    pub fn stalled_since_ns(&self) -> Option<u64> {
        self.closed_at_ns.map(|closed| closed.max(self.acked_at_ns))
    }

    /// Notes that the client has processed all up to `stream_seq`.
    pub fn ack(&mut self, stream_seq: u64, now_ns: u64) {
        let mut acked = Load::default();
        let mut begun_ns = None;
        while let Some(sent) = self.sent.pop_front_if(|sent| sent.stream_seq <= stream_seq) {
            begun_ns = begun_ns.or(Some(sent.at_ns.max(self.acked_at_ns)));
            acked.add(sent.load);
        }
        self.load.subtract(acked);
        if let Some(begun_ns) = begun_ns {
            self.measure(acked, now_ns.saturating_sub(begun_ns));
            self.count(acked, now_ns);
            self.acked_at_ns = now_ns;
        }
        self.window = Some(self.resized());
    }

    /// Takes in that the client had `elapsed_ns` for what it acknowledged.
    fn measure(&mut self, acked: Load, elapsed_ns: u64) {
        self.batch = self.batch.zip(acked, |old, new| new.max(old - old.div_ceil(8)));
        self.sample.0.add(acked);
        self.sample.1 += elapsed_ns;
        let (load, elapsed_ns) = self.sample;
        if elapsed_ns < SAMPLE_NS_MIN {
            return;
        }
        let now = load.scaled(WINDOW_NS, elapsed_ns);
        self.pace = Some(self.pace.map_or(now, |before| before.zip(now, |old, new| old / 2 + new / 2)));
        self.sample = (Load::default(), 0);
    }

    /// Counts what flows, idle times included.
    fn count(&mut self, acked: Load, now_ns: u64) {
        self.counted.0.add(acked);
        let (load, since_ns) = self.counted;
        let elapsed_ns = now_ns.saturating_sub(since_ns);
        if elapsed_ns >= FLOW_NS {
            self.flow = load.scaled(FLOW_NS, elapsed_ns);
            self.counted = (Load::default(), now_ns);
        }
    }

    /// Returns the window: what the client handles in its time, but never less than it acknowledges at once.
    fn resized(&self) -> Load {
        let Some(pace) = self.pace else { return Load { bytes: self.bytes_max, records: u64::MAX } };
        let least = Load { bytes: WINDOW_BYTES_MIN, records: 1 };
        let flow = self.flow.zip(FLOW_MIN, u64::max);
        let pace = pace.zip(flow, |pace, flow| pace.min(2 * flow));
        let window = pace.zip(self.batch, |pace, batch| pace.max(BATCHES * batch)).zip(least, u64::max);
        Load { bytes: window.bytes.min(self.bytes_max), ..window }
    }
}
