//! The edge's thread: one runtime, the listeners, and the commands of the owner.

use std::io;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use crate::shared::{Phase, Shared};
use crate::stats;
use crate::{executor, listener};

/// How often the end of the last connection is looked for.
const STOP_POLL: Duration = Duration::from_millis(2);

/// What the owner of the edge wants of its thread.
#[derive(Debug)]
pub(crate) enum Command {
    SetHealth { service: String, is_serving: bool },
    Drain { grace: Duration },
    Stop,
}

/// Makes the runtime of the thread; large answers are hashed on at most one more.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_io().enable_time().max_blocking_threads(1).build()
}

/// Serves until it is told to stop. A panic ends the thread, not the process, and is counted.
pub(crate) fn run(
    runtime: Runtime,
    shared: &Arc<Shared>,
    listeners: Vec<TcpListener>,
    commands: mpsc::Receiver<Command>,
) {
    let served = catch_unwind(AssertUnwindSafe(|| runtime.block_on(serve(shared, listeners, commands))));
    if served.is_err() {
        stats::add(&shared.stats.panics, 1);
    }
    runtime.shutdown_background();
}

async fn serve(shared: &Arc<Shared>, listeners: Vec<TcpListener>, mut commands: mpsc::Receiver<Command>) {
    shared.services.begin().await;
    for listener in listeners {
        executor::spawn(&shared.stats, listener::accept(Arc::clone(shared), listener));
    }
    let mut ending_at = None;
    loop {
        tokio::select! {
            biased;
            command = commands.recv() => match command {
                Some(Command::SetHealth { service, is_serving }) => {
                    shared.services.set_health(&service, is_serving && !shared.is_draining()).await;
                }
                Some(Command::Drain { grace }) => {
                    shared.services.end().await;
                    ending_at.get_or_insert(Instant::now() + grace);
                }
                Some(Command::Stop) | None => break,
            },
            () = reached(ending_at) => {
                ending_at = None;
                shared.phase.send_replace(Phase::Ending);
            }
        }
    }
    shared.phase.send_replace(Phase::Ending);
    let _ = tokio::time::timeout(shared.options.limits.stop_max, connections_ended(shared)).await;
}

async fn reached(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn connections_ended(shared: &Shared) {
    while shared.stats.connections_open.load(Ordering::Relaxed) > 0 {
        sleep(STOP_POLL).await;
    }
}
