//! One connection: hyper's HTTP/2 with the bounds of FAULTS 5.2, until either side says goodbye. The bytes below may
//! come from any transport; TLS wraps the socket in `listener` when it is configured.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::executor::StreamExecutor;
use crate::options::Limits;
use crate::route;
use crate::shared::{Phase, Shared};
use crate::stats::Present;

/// How much a client may send on one stream, and on all of them, before the edge has read it, bytes.
const STREAM_WINDOW_BYTES: u32 = 128 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// Serves the calls of one connection.
pub(crate) async fn serve<T>(shared: Arc<Shared>, socket: T, peer: SocketAddr)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let _open = Present::enter(&shared.stats, |stats| &stats.connections_open);
    let executor = StreamExecutor::new(Arc::clone(&shared.stats));
    let answer = {
        let shared = Arc::clone(&shared);
        service_fn(move |request| {
            let answer = route::serve(Arc::clone(&shared), peer, request);
            async move { Ok::<_, Infallible>(answer.await) }
        })
    };
    let limits = &shared.options.limits;
    let mut connection =
        pin!(protocol(limits, executor.clone()).serve_connection(TokioIo::new(socket), answer));
    tokio::select! {
        // How a connection breaks concerns nobody but its client.
        _ = connection.as_mut() => return,
        () = shared.reached(Phase::Ending) => {}
        () = executor.idle(limits.idle_max) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

fn protocol(limits: &Limits, executor: StreamExecutor) -> http2::Builder<StreamExecutor> {
    let mut protocol = http2::Builder::new(executor);
    protocol
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(limits.connection_streams_max)
        .max_header_list_size(limits.metadata_bytes_hard_max)
        .max_send_buf_size(limits.response_bytes_max)
        .max_pending_accept_reset_streams(limits.pending_resets_max)
        .max_local_error_reset_streams(limits.local_resets_max)
        .keep_alive_interval(limits.ping_interval)
        .keep_alive_timeout(limits.ping_timeout);
    protocol
}
