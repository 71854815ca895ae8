//! The edge as its owner sees it: made, started, told about health, drained, stopped. One thread of its own.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use facade_hub::Hub;
use tokio::sync::{mpsc, watch};

use crate::bridge::Bridge;
use crate::listener;
use crate::options::Options;
use crate::server::{self, Command};
use crate::services::Services;
use crate::shared::{Phase, Shared};
use crate::stats::{EdgeStats, Stats};

/// Commands that wait for the edge's thread: health of a few names, drain, stop.
const COMMANDS_MAX: usize = 1_024;

/// Time beyond the options' own that `stop` waits for the thread.
const JOIN_MARGIN: Duration = Duration::from_millis(400);

/// The wait for the thread is counted in such steps: a pause of the whole process is one of them, no delay of the
/// thread's.
const JOIN_STEP: Duration = Duration::from_millis(20);

/// Why the edge does not do what it was told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EdgeError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// An address that others can reach needs TLS and authentication.
    #[error(
        "{address} is not a loopback address and needs TLS and authentication; expected 127.0.0.1 or ::1"
    )]
    Public {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// No address was given.
    #[error("expected an address to listen on, received none")]
    NoAddress,
    /// The descriptor set for reflection cannot be read.
    #[error("the descriptor set for reflection cannot be read: {0}")]
    Descriptor(String),
    /// The system has no descriptor or thread left.
    #[error("cannot start the edge: {0}")]
    Resources(#[source] io::Error),
    /// It was started before.
    #[error("the edge was started before")]
    StartedBefore,
    /// It was stopped, or its commands are not taken.
    #[error("the edge does not run")]
    NotRunning,
    /// The thread did not end in time.
    #[error("the edge did not stop within {} ms", waited.as_millis())]
    StopTimedOut {
        /// How long was waited.
        waited: Duration,
    },
}

/// How far the thread is.
enum Stage {
    Made(mpsc::Receiver<Command>),
    Running(Thread),
    Stopped,
}

struct Thread {
    handle: JoinHandle<()>,
    /// Closes when the thread ends, in whatever way.
    ended: std::sync::mpsc::Receiver<()>,
}

impl Thread {
    /// Waits for its end; returns whether it came in time.
    fn ends_within(&self, waited: Duration) -> bool {
        let steps = waited.as_millis().div_ceil(JOIN_STEP.as_millis());
        let is_running = || self.ended.recv_timeout(JOIN_STEP) == Err(RecvTimeoutError::Timeout);
        (0..steps).any(|_| !is_running())
    }
}

/// The gRPC server. Dropping it ends its thread too, soon, and waits for nothing: [`Edge::stop`] does.
pub struct Edge {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    stage: Mutex<Stage>,
    addresses: Mutex<Vec<SocketAddr>>,
    is_drained: AtomicBool,
}

impl Edge {
    /// Makes an edge that serves `hub`. Nothing listens yet.
    ///
    /// # Errors
    /// [`EdgeError::Public`], [`EdgeError::NoAddress`], [`EdgeError::Descriptor`] or [`EdgeError::Resources`].
    pub fn new(options: Options, hub: Arc<Hub>) -> Result<Self, EdgeError> {
        let public = options.listen.iter().find(|address| !address.ip().is_loopback());
        match public {
            _ if options.listen.is_empty() => return Err(EdgeError::NoAddress),
            Some(&address) if !options.is_public_allowed => return Err(EdgeError::Public { address }),
            _ => {}
        }
        let options = Options { is_dev: options.is_dev && public.is_none(), ..options };
        let services = Services::new(&options).map_err(|error| EdgeError::Descriptor(error.to_string()))?;
        let bridge = Bridge::new(options.limits.calls_max).map_err(EdgeError::Resources)?;
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let shared = Shared {
            hub,
            bridge: Arc::new(bridge),
            stats: Arc::new(Stats::default()),
            options,
            services,
            phase: watch::Sender::new(Phase::Serving),
        };
        Ok(Self {
            shared: Arc::new(shared),
            commands,
            stage: Mutex::new(Stage::Made(inbox)),
            addresses: Mutex::default(),
            is_drained: AtomicBool::new(false),
        })
    }

    /// Returns the bridge, whose other end belongs to the handlers.
    #[must_use]
    pub fn bridge(&self) -> &Arc<Bridge> {
        &self.shared.bridge
    }

    /// Listens and starts the thread. Returns the addresses that clients can connect to.
    ///
    /// # Errors
    /// [`EdgeError::Listen`], [`EdgeError::Resources`] or [`EdgeError::StartedBefore`].
    pub fn start(&self) -> Result<Vec<SocketAddr>, EdgeError> {
        let mut stage = lock(&self.stage);
        let Stage::Made(_) = *stage else {
            return Err(EdgeError::StartedBefore);
        };
        let listeners = listener::bind_all(&self.shared.options.listen)?;
        let addresses: Vec<_> = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        if let Stage::Made(inbox) = std::mem::replace(&mut *stage, Stage::Stopped) {
            *stage = Stage::Running(self.spawn(listeners, inbox)?);
        }
        lock(&self.addresses).clone_from(&addresses);
        Ok(addresses)
    }

    fn spawn(
        &self,
        listeners: Vec<TcpListener>,
        inbox: mpsc::Receiver<Command>,
    ) -> Result<Thread, EdgeError> {
        let shared = Arc::clone(&self.shared);
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let runtime = server::runtime().map_err(EdgeError::Resources)?;
        let thread = std::thread::Builder::new().name("edge".to_owned()).spawn(move || {
            let _end = end;
            server::run(runtime, &shared, listeners, inbox);
        });
        Ok(Thread { handle: thread.map_err(EdgeError::Resources)?, ended })
    }

    /// Returns the addresses that clients can connect to; none before the start.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        lock(&self.addresses).clone()
    }

    /// Tells `grpc.health.v1` whether `service` is served. After a drain nothing is.
    ///
    /// # Errors
    /// [`EdgeError::NotRunning`] after the stop.
    pub fn set_health(&self, service: &str, is_serving: bool) -> Result<(), EdgeError> {
        self.command(Command::SetHealth { service: service.to_owned(), is_serving })
    }

    /// Refuses new calls from now on, says so to health, and ends the streams after `grace`. Returns at once.
    ///
    /// # Errors
    /// [`EdgeError::NotRunning`] after the stop.
    pub fn drain(&self, grace: Duration) -> Result<(), EdgeError> {
        self.is_drained.store(true, Ordering::Release);
        self.shared.phase.send_if_modified(|phase| {
            let is_new = *phase < Phase::Draining;
            *phase = (*phase).max(Phase::Draining);
            is_new
        });
        self.command(Command::Drain { grace })
    }

    /// Returns whether no call and no stream is open.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let stats = self.stats();
        stats.unary_open == 0 && stats.streams_open == 0
    }

    /// Ends what still runs and waits for the thread. A second call does nothing.
    ///
    /// # Errors
    /// [`EdgeError::StopTimedOut`] if the thread did not end; it is then left alone.
    pub fn stop(&self) -> Result<(), EdgeError> {
        let stage = std::mem::replace(&mut *lock(&self.stage), Stage::Stopped);
        let Stage::Running(thread) = stage else {
            return Ok(());
        };
        let _ = self.command(Command::Stop);
        let waited = self.shared.options.limits.stop_max + JOIN_MARGIN;
        if !thread.ends_within(waited) {
            return Err(EdgeError::StopTimedOut { waited });
        }
        // A panic of the thread was counted where it happened.
        thread.handle.join().or(Ok(()))
    }

    /// Returns the figures of the edge.
    #[must_use]
    pub fn stats(&self) -> EdgeStats {
        let calls_open = self.shared.bridge.calls_open() as u64;
        EdgeStats { calls_open, ..self.shared.stats.snapshot() }
    }

    fn command(&self, command: Command) -> Result<(), EdgeError> {
        self.commands.try_send(command).map_err(|_| EdgeError::NotRunning)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_within_the_default_bound_takes_less_than_a_second() {
        let waited = crate::options::Limits::default().stop_max + JOIN_MARGIN;
        assert!(waited < Duration::from_secs(1));
    }
}
