//! Frames encoded before the first one is due, and when each left.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::thread::{ClockId, clock_nanosleep_absolute};
use rustix::time::{Timespec, clock_gettime};

use crate::http::write;
use crate::market::Market;
use crate::venue::{Follower, Venue, push_frame};

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
    followers: Vec<Follower>,
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
        followers: Vec<Follower>,
        count: usize,
        event_ms: u64,
    ) -> io::Result<Self> {
        let (mut bytes, mut ends) = (Vec::with_capacity(count * 360), Vec::with_capacity(count));
        let (mut payload, turns) = (Vec::new(), markets.len());
        for frame in 0..count {
            let at = frame % turns;
            if let (Some(market), Some(follower)) = (markets.get_mut(at), followers.get(at)) {
                payload.clear();
                market.write_frame(event_ms, &mut payload)?;
                push_frame(&market.symbol, follower.is_combined, &payload, &mut bytes);
            }
            ends.push(bytes.len());
        }
        Ok(Self {
            bytes,
            ends,
            followers,
        })
    }

    /// Returns how many bytes it has.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Plays everything.
    pub fn play(&self, pace: Pace, venue: &Venue) -> io::Result<Times> {
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
            let until = self.run_end(at, (at + ready).min(self.ends.len()));
            sent.resize(until, now);
            self.write(at, until)?;
            at = until;
        }
        let due = if due.is_empty() { sent.clone() } else { due };
        Ok(Times {
            due,
            sent,
            end: monotonic_ns(),
        })
    }

    /// Returns where the frames for one and the same connection end.
    fn run_end(&self, at: usize, until: usize) -> usize {
        let line = |frame: usize| {
            self.followers
                .get(frame % self.followers.len())
                .map(|one| &one.line)
        };
        let mut end = at + 1;
        while end < until
            && line(end)
                .zip(line(at))
                .is_some_and(|(next, this)| Arc::ptr_eq(next, this))
        {
            end += 1;
        }
        end
    }

    fn write(&self, from: usize, until: usize) -> io::Result<()> {
        let end = |frame: usize| {
            frame
                .checked_sub(1)
                .and_then(|last| self.ends.get(last))
                .copied()
        };
        let bytes = self
            .bytes
            .get(end(from).unwrap_or(0)..end(until).unwrap_or(0));
        let follower = self.followers.get(from % self.followers.len());
        follower
            .zip(bytes)
            .map_or(Ok(()), |(follower, bytes)| write(&follower.line, bytes))
    }
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
