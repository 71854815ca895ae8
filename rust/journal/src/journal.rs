//! The journal as its users see it: a thread that writes, and reads from any thread.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use facade_hub::{LogBatch, TopicKey, TopicName};

use crate::appender::{Appender, BYTES_MIN, JournalBounds, lock};
use crate::error::JournalError;
use crate::format::{Kind, read_record};
use crate::segment::read_part;
use crate::shelf::{JournalStats, Notices, Range, Shelf};
use crate::source::LogSource;

/// The hub's lock is held to copy so much at once.
const CHUNK_BYTES: usize = 64 << 10;
/// Pause of the writer once it has caught up: what is older is in the journal.
const PAUSE: Duration = Duration::from_millis(10);
/// Pauses between two looks at the clock.
const HOUSEKEEPING_PAUSES: u32 = 100;
/// Pauses before a failed journal tries again.
const RETRY_PAUSES: u32 = 500;

/// Longest wait for a flush: a second, in steps. A pause of the whole process is one of them, no delay of the writer's.
const FLUSH_STEPS: u32 = 50;
const FLUSH_STEP: Duration = Duration::from_millis(20);

/// Tells the time, ns UTC.
pub type WallClock = Box<dyn Fn() -> i64 + Send>;

/// Updates that were read from the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replay {
    /// Entries of field 4 of the response, in order, whole groups.
    pub entries: Vec<u8>,
    /// `seq` of the last one; where the reading began, if there is none.
    pub seq_last: u64,
}

/// What is asked of the writer's thread.
#[derive(Debug, Default)]
struct Asked {
    is_end: bool,
    /// Rounds that somebody waits for, and those of them that are over.
    flushes: u64,
    flushed: u64,
}

#[derive(Debug, Default)]
struct Signal {
    asked: Mutex<Asked>,
    changed: Condvar,
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.lock().is_end = true;
        self.changed.notify_all();
    }

    /// Waits for a round that begins after this call; returns whether it is over in time.
    fn flush(&self) -> bool {
        let mut asked = self.lock();
        asked.flushes += 1;
        let wanted = asked.flushes;
        self.changed.notify_all();
        for _ in 0..FLUSH_STEPS {
            let result = self.changed.wait_timeout_while(asked, FLUSH_STEP, |asked| asked.flushed < wanted);
            asked = result.unwrap_or_else(PoisonError::into_inner).0;
            if asked.flushed >= wanted {
                return true;
            }
        }
        false
    }

    /// Waits for one pause, or until somebody asks; returns whether to end, and the flushes asked so far.
    fn pause(&self) -> (bool, u64) {
        let is_idle = |asked: &mut Asked| !asked.is_end && asked.flushed == asked.flushes;
        let waited = self.changed.wait_timeout_while(self.lock(), PAUSE, is_idle);
        let asked = waited.unwrap_or_else(PoisonError::into_inner).0;
        (asked.is_end, asked.flushes)
    }

    fn done(&self, flushes: u64) {
        let mut asked = self.lock();
        if asked.flushed < flushes {
            asked.flushed = flushes;
            self.changed.notify_all();
        }
    }
}

/// A disk-backed ring of updates. Survives the death of the process, not that of the machine: nothing is synced.
#[derive(Debug)]
pub struct Journal {
    shelf: Arc<Mutex<Shelf>>,
    dir: PathBuf,
    epoch: u32,
    bounds: JournalBounds,
    signal: Arc<Signal>,
    writer: Mutex<Writer>,
}

#[derive(Debug)]
enum Writer {
    Idle,
    Running(JoinHandle<()>),
    Ended,
}

impl Journal {
    /// Opens the journal of a directory that exists and that nobody else writes: torn tails are cut, old segments
    /// can be read. `epoch` is above all that it holds.
    ///
    /// # Errors
    /// [`JournalError::Io`] if the directory cannot be listed; [`JournalError::EpochNotNew`];
    /// [`JournalError::TooSmall`].
    pub fn open(dir: &Path, epoch: u32, bounds: JournalBounds) -> Result<Self, JournalError> {
        if bounds.bytes_max < BYTES_MIN {
            return Err(JournalError::TooSmall { bytes_max: bounds.bytes_max, bytes_min: BYTES_MIN });
        }
        let shelf = Shelf::open(dir)?;
        if let Some(newest) = shelf.epoch_last().filter(|&newest| newest >= epoch) {
            return Err(JournalError::EpochNotNew { epoch, newest });
        }
        Ok(Self {
            shelf: Arc::new(Mutex::new(shelf)),
            dir: dir.to_path_buf(),
            epoch,
            bounds,
            signal: Arc::default(),
            writer: Mutex::new(Writer::Idle),
        })
    }

    /// Begins to write what `source` gives, on a thread of its own.
    ///
    /// # Errors
    /// [`JournalError::Started`]; [`JournalError::Io`] if there is no thread to be had.
    pub fn start(&self, source: Box<dyn LogSource>, clock: WallClock) -> Result<(), JournalError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*writer, Writer::Idle) {
            return Err(JournalError::Started);
        }
        let appender = Appender::new(Arc::clone(&self.shelf), self.dir.clone(), self.epoch, self.bounds);
        let run =
            Run { appender, shelf: Arc::clone(&self.shelf), source, clock, signal: Arc::clone(&self.signal) };
        let made = Builder::new().name("journal".to_owned()).spawn(move || run.run());
        *writer =
            Writer::Running(made.map_err(|cause| JournalError::io("start a thread for", &self.dir, cause))?);
        Ok(())
    }

    /// Writes what the source still has, seals the segment and ends the thread. Idempotent.
    pub fn stop(&self) {
        self.signal.end();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Writer::Running(thread) = std::mem::replace(&mut *writer, Writer::Ended) {
            // A panic of the writer is told by the figures: nothing is written any more.
            let _ = thread.join();
        }
    }

    /// Waits until all that was published before this call is written; returns whether it is, 1 s at most.
    #[must_use]
    pub fn flush(&self) -> bool {
        self.signal.flush() && lock(&self.shelf).stats.failure.is_none()
    }

    /// Takes the state and gap records that were published since the last call and that the writer has read.
    #[must_use]
    pub fn take_notices(&self) -> Notices {
        std::mem::take(&mut lock(&self.shelf).notices)
    }

    /// Returns what is held of a topic, the oldest first; within a range no `seq` is missing.
    #[must_use]
    pub fn ranges(&self, topic: &TopicKey<'_>) -> Vec<Range> {
        lock(&self.shelf).ranges(&TopicName::from(topic))
    }

    /// Reads the updates of a topic that follow `seq_after` without a hole: some `bytes_max` bytes, whole groups, at
    /// least one. Empty: what follows is not held. Damage ends the reading before it and is counted.
    ///
    /// # Errors
    /// [`JournalError::Io`] if a file cannot be read; one that was evicted meanwhile is no error.
    pub fn read(
        &self,
        topic: &TopicKey<'_>,
        epoch: u32,
        seq_after: u64,
        bytes_max: usize,
    ) -> Result<Replay, JournalError> {
        let topic = TopicName::from(topic);
        let mut replay = Replay { entries: Vec::new(), seq_last: seq_after };
        loop {
            let Some(seq) = replay.seq_last.checked_add(1) else { return Ok(replay) };
            let Some(place) = lock(&self.shelf).find(&topic, epoch, seq) else { return Ok(replay) };
            let bytes = match read_part(&place.path, place.start, place.end) {
                Ok(bytes) => bytes,
                Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(replay),
                Err(cause) => return Err(JournalError::io("read", &place.path, cause)),
            };
            let is_whole = replay.join(&bytes, place.seed, place.span.topic, place.span.seq_last, bytes_max);
            if !is_whole {
                lock(&self.shelf).forget(&place, &bytes);
                return Ok(replay);
            }
            if replay.entries.len() >= bytes_max {
                return Ok(replay);
            }
        }
    }

    /// Returns the figures.
    #[must_use]
    pub fn stats(&self) -> JournalStats {
        let kept = lock(&self.shelf);
        JournalStats {
            bytes: kept.bytes(),
            segments: kept.segments.len() as u64,
            wall_oldest_ns: kept.segments.front().map_or(0, |segment| segment.identity.made_ns),
            ..kept.stats.clone()
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Replay {
    /// Joins the records of a topic in a stripe that follow the last one, until `seq_max` or `bytes_max` is reached.
    /// Returns false if the stripe is damaged before that.
    fn join(&mut self, stripe: &[u8], seed: u32, topic: u32, seq_max: u64, bytes_max: usize) -> bool {
        let (mut rest, mut bytes_whole, seq_after) = (stripe, self.entries.len(), self.seq_last);
        while self.seq_last < seq_max && bytes_whole < bytes_max.max(1) {
            let Ok(found) = read_record(rest, seed) else {
                self.entries.truncate(bytes_whole);
                return false;
            };
            rest = rest.get(found.bytes..).unwrap_or_default();
            let head = found.head;
            if head.topic != topic || !matches!(head.kind, Kind::Update(_)) || head.seq <= seq_after {
                continue;
            }
            self.entries.extend_from_slice(found.payload);
            if !head.more {
                (self.seq_last, bytes_whole) = (head.seq, self.entries.len());
            }
        }
        true
    }
}

/// The writer's thread.
struct Run {
    appender: Appender,
    shelf: Arc<Mutex<Shelf>>,
    source: Box<dyn LogSource>,
    clock: WallClock,
    signal: Arc<Signal>,
}

impl Run {
    fn run(mut self) {
        let mut batch = LogBatch::default();
        let (mut pauses, mut retry_in, mut is_failed, mut answered) = (HOUSEKEEPING_PAUSES, 0, false, 0);
        loop {
            let (is_last, flushes) = self.signal.pause();
            if retry_in > 0 && !is_last && flushes == answered {
                retry_in -= 1;
                continue;
            }
            pauses += 1;
            let is_due = pauses >= HOUSEKEEPING_PAUSES;
            let mut result = self.drain(&mut batch, is_failed);
            if is_due {
                pauses = 0;
                result = result.and_then(|()| self.appender.keep_house((self.clock)()));
            }
            if is_last {
                result = result.and_then(|()| self.appender.seal());
            }
            is_failed = result.is_err();
            retry_in = if is_failed { RETRY_PAUSES } else { 0 };
            self.tell(result);
            self.signal.done(flushes);
            answered = flushes;
            if is_last {
                return;
            }
        }
    }

    /// Appends all that the log holds. After a failure the disk is asked first: meanwhile the log waits in memory.
    fn drain(&mut self, batch: &mut LogBatch, is_failed: bool) -> Result<(), JournalError> {
        if is_failed {
            self.appender.probe((self.clock)())?;
        }
        loop {
            let read = self.source.read(CHUNK_BYTES, batch);
            if batch.entries.is_empty() && !read.is_behind {
                return Ok(());
            }
            self.appender.append(batch, read.is_behind, &*self.source, (self.clock)())?;
            if batch.entries.is_empty() {
                return Ok(());
            }
        }
    }

    fn tell(&self, result: Result<(), JournalError>) {
        let failure = result.err().map(|error| error.to_string());
        let mut kept = lock(&self.shelf);
        if kept.stats.failure != failure {
            kept.stats.failure = failure;
        }
    }
}
