//! Frames encoded before the first one is due, and when each left.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::thread::{ClockId, clock_nanosleep_absolute};
use rustix::time::{Timespec, clock_gettime};

use crate::http::{Line, write};
use crate::market::Market;
use crate::venue::{Venue, push_frame};

const NS_PER_S: u64 = 1_000_000_000;
const BURST_NS: u64 = 100_000; // above 10,000 frames/s they come in bursts, as the frames of one segment do
const FRAMES_AT_ONCE: usize = 64; // of one write
const NAP: Duration = Duration::from_micros(50); // between two looks at the slowest reader

/// Returns the monotonic clock of the machine, ns: the same in all processes.
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * NS_PER_S + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// When frames are due.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// As fast as they are taken, but at most `window` frames before the slowest reader; 0: no such bound.
    Flat {
        /// Frames.
        window: u64,
    },
    /// At fixed times, whatever anybody does.
    Open {
        /// Frames a second.
        rate: u64,
    },
}

/// All frames in order, the symbols in turn.
pub struct Tape {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// When the frames were due and when each was handed to the socket, monotonic ns.
pub struct Times {
    /// Equal to `sent` if nothing was due at a time.
    pub due: Vec<u64>,
    /// Before the write.
    pub sent: Vec<u64>,
    /// After the last write.
    pub end: u64,
}

impl Tape {
    /// Encodes so many frames.
    pub fn record(
        markets: &mut [Market],
        count: usize,
        event_ms: u64,
        is_combined: bool,
    ) -> io::Result<Self> {
        let (mut bytes, mut ends) = (Vec::with_capacity(count * 360), Vec::with_capacity(count));
        let (mut payload, turns) = (Vec::new(), markets.len());
        for frame in 0..count {
            if let Some(market) = markets.get_mut(frame % turns) {
                payload.clear();
                market.write_frame(event_ms, &mut payload)?;
                push_frame(&market.symbol, is_combined, &payload, &mut bytes);
            }
            ends.push(bytes.len());
        }
        Ok(Self { bytes, ends })
    }

    /// Returns how many bytes it has.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Plays everything to those who follow the symbols.
    pub fn play(&self, lines: &[Line], pace: Pace, venue: &Venue) -> io::Result<Times> {
        let start = monotonic_ns();
        let (mut due, mut sent) = (Vec::new(), Vec::with_capacity(self.ends.len()));
        if let Pace::Open { rate } = pace {
            let interval = (NS_PER_S / rate).max(BURST_NS);
            let burst = (rate * BURST_NS / NS_PER_S).max(1);
            let frames = self.ends.len() as u64;
            due = (0..frames)
                .map(|frame| start + (1 + frame / burst) * interval)
                .collect();
        }
        let mut at = 0;
        while at < self.ends.len() {
            let now = wait(pace, &due, at, venue);
            let ready = match pace {
                Pace::Flat { .. } => FRAMES_AT_ONCE,
                Pace::Open { .. } => {
                    let later = due.get(at..).unwrap_or_default();
                    later
                        .iter()
                        .take(FRAMES_AT_ONCE)
                        .take_while(|&&due| due <= now)
                        .count()
                }
            };
            let until = run_end(lines, at, (at + ready).min(self.ends.len()));
            sent.resize(until, now);
            self.write(lines, at, until)?;
            at = until;
        }
        let due = if due.is_empty() { sent.clone() } else { due };
        Ok(Times {
            due,
            sent,
            end: monotonic_ns(),
        })
    }

    fn write(&self, lines: &[Line], from: usize, until: usize) -> io::Result<()> {
        let end = |frame: usize| {
            frame
                .checked_sub(1)
                .and_then(|last| self.ends.get(last))
                .copied()
        };
        let bytes = self
            .bytes
            .get(end(from).unwrap_or(0)..end(until).unwrap_or(0));
        let line = lines.get(from % lines.len());
        line.zip(bytes)
            .map_or(Ok(()), |(line, bytes)| write(line, bytes))
    }
}

/// Returns where the frames for one and the same connection end.
fn run_end(lines: &[Line], at: usize, until: usize) -> usize {
    let line = |frame: usize| lines.get(frame % lines.len());
    let is_same = |frame: usize| {
        line(frame)
            .zip(line(at))
            .is_some_and(|(one, other)| Arc::ptr_eq(one, other))
    };
    (at + 1..until)
        .find(|&frame| !is_same(frame))
        .unwrap_or(until)
}

/// Waits until the frame may leave; returns the time.
fn wait(pace: Pace, due: &[u64], at: usize, venue: &Venue) -> u64 {
    match pace {
        Pace::Flat { window } => {
            while window > 0 && at as u64 > venue.progress().saturating_add(window) {
                std::thread::sleep(NAP);
            }
            monotonic_ns()
        }
        Pace::Open { .. } => loop {
            let (now, due) = (monotonic_ns(), due.get(at).copied().unwrap_or(0));
            if now >= due {
                return now;
            }
            let [seconds, rest] = [due / NS_PER_S, due % NS_PER_S].map(u64::cast_signed);
            let _interrupted = clock_nanosleep_absolute(
                ClockId::Monotonic,
                &Timespec {
                    tv_sec: seconds,
                    tv_nsec: rest,
                },
            );
        },
    }
}

impl Times {
    /// Writes all that were due, then all that were sent: 64-bit little-endian integers.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        for time in self.due.iter().chain(&self.sent) {
            file.write_all(&time.to_le_bytes())?;
        }
        file.flush()
    }
}
