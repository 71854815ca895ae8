//! How the tasks of a connection run: a panic ends one task and is counted, and each stream has a switch that
//! cuts it even while its writes stand still, when hyper asks its body for nothing.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock;
use crate::stats::{self, Stats};

tokio::task_local! {
    static CUT: Arc<Notify>;
}

/// Ends the HTTP/2 stream of one task.
#[derive(Debug, Clone)]
pub(crate) struct CutSwitch(Arc<Notify>);

impl CutSwitch {
    /// Returns the switch of the stream whose task this is; outside of such a task it cuts nothing.
    pub(crate) fn of_this_stream() -> Self {
        Self(CUT.try_with(Arc::clone).unwrap_or_default())
    }

    /// Drops the stream's task: the client is sent `RST_STREAM`, everything the stream owns is freed.
    pub(crate) fn cut(&self) {
        self.0.notify_one();
    }
}

/// Runs the streams of one connection on the edge's runtime.
#[derive(Debug, Clone)]
pub(crate) struct StreamExecutor {
    stats: Arc<Stats>,
    activity: Arc<Activity>,
}

/// How busy a connection is.
#[derive(Debug)]
struct Activity {
    streams_open: AtomicUsize,
    /// When the last stream ended, or the connection began, ns of the monotonic clock.
    idle_since_ns: AtomicU64,
}

impl StreamExecutor {
    pub(crate) fn new(stats: Arc<Stats>) -> Self {
        let idle_since_ns = AtomicU64::new(clock::mono_ns());
        Self { stats, activity: Arc::new(Activity { streams_open: AtomicUsize::new(0), idle_since_ns }) }
    }

    /// Waits until there was no stream for `idle_max`.
    pub(crate) async fn idle(&self, idle_max: Duration) {
        loop {
            let idle_since_ns = self.activity.idle_since_ns.load(Ordering::Acquire);
            let idle = Duration::from_nanos(clock::mono_ns().saturating_sub(idle_since_ns));
            let is_busy = self.activity.streams_open.load(Ordering::Acquire) > 0;
            let wait = if is_busy { idle_max } else { idle_max.saturating_sub(idle) };
            if wait.is_zero() {
                return;
            }
            tokio::time::sleep(wait).await;
        }
    }
}

/// One stream of a connection.
struct ActiveStream(Arc<Activity>);

impl ActiveStream {
    fn enter(activity: &Arc<Activity>) -> Self {
        activity.streams_open.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(activity))
    }
}

impl Drop for ActiveStream {
    fn drop(&mut self) {
        self.0.idle_since_ns.store(clock::mono_ns(), Ordering::Release);
        self.0.streams_open.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<F> hyper::rt::Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        let switch = Arc::new(Notify::new());
        let is_cut = Arc::clone(&switch);
        let active = ActiveStream::enter(&self.activity);
        let task = CUT.scope(switch, async move {
            let _active = active;
            tokio::select! {
                () = task => {}
                () = is_cut.notified() => {}
            }
        });
        spawn(&self.stats, task);
    }
}

/// Starts a task whose panic is counted and ends nothing else.
pub(crate) fn spawn<F>(stats: &Arc<Stats>, task: F) -> tokio::task::JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let panics = PanicCounter(Arc::clone(stats));
    tokio::spawn(async move {
        let _panics = panics;
        task.await;
    })
}

struct PanicCounter(Arc<Stats>);

impl Drop for PanicCounter {
    fn drop(&mut self) {
        if std::thread::panicking() {
            stats::add(&self.0.panics, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::rt::Executor;

    fn run<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn a_panic_is_counted_and_ends_its_own_task_only() {
        let stats = Arc::new(Stats::default());
        run(async {
            assert!(spawn(&stats, async { panic!("planted") }).await.is_err());
            assert!(spawn(&stats, async {}).await.is_ok());
        });
        assert_eq!(stats.panics.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_connection_is_idle_only_when_its_last_stream_has_ended() {
        run(async {
            let executor = StreamExecutor::new(Arc::default());
            let (end, ended) = tokio::sync::oneshot::channel::<()>();
            executor.execute(async move { ended.await.unwrap_or_default() });
            let idle = executor.idle(Duration::from_millis(5));
            let mut idle = std::pin::pin!(idle);
            assert!(tokio::time::timeout(Duration::from_millis(20), idle.as_mut()).await.is_err());
            drop(end);
            idle.await;
        });
    }

    #[test]
    fn the_switch_ends_a_task_that_would_wait_for_ever() {
        run(async {
            let (give, take) = tokio::sync::oneshot::channel();
            let (alive, dead) = tokio::sync::oneshot::channel::<()>();
            StreamExecutor::new(Arc::default()).execute(async move {
                let _alive = alive;
                assert!(give.send(CutSwitch::of_this_stream()).is_ok());
                std::future::pending::<()>().await;
            });
            take.await.unwrap().cut();
            assert!(dead.await.is_err());
        });
    }
}
