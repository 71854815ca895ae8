//! `Edge` for Python: the server's thread is made and stopped here, calls come and answers go as bytes.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use facade_edge::{Bridge, Call, Code, Edge, EdgeError, Freshness, Limits, Options, Provenance, Repeats};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyTimeoutError, PyValueError};
use pyo3::import_exception;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::answers::PyAnswerCache;
use crate::hub::PyHub;

import_exception!(datafacade.errors, AddressTaken);

/// Maps an error of the edge.
fn from_edge(error: EdgeError) -> PyErr {
    match error {
        EdgeError::Listen { address, source } if source.kind() == io::ErrorKind::AddrInUse => {
            AddressTaken::new_err((address.to_string(),))
        }
        EdgeError::Listen { address, ref source } => {
            PyOSError::new_err((source.raw_os_error(), format!("cannot listen on {address}: {source}")))
        }
        EdgeError::Resources(source) => PyOSError::new_err((source.raw_os_error(), source.to_string())),
        EdgeError::StopTimedOut { .. } => PyTimeoutError::new_err(error.to_string()),
        EdgeError::Public { .. } | EdgeError::NoAddress | EdgeError::Descriptor(_) => {
            PyValueError::new_err(error.to_string())
        }
        other => PyRuntimeError::new_err(other.to_string()),
    }
}

/// One message that waits for a handler's answer: a unary request, or a request on a stream.
///
/// Dropped without an answer it fails with INTERNAL.
#[pyclass(frozen, name = "Call", module = "datafacade._core")]
pub(crate) struct PyCall {
    call: Call,
    request: Py<PyBytes>,
}

#[pymethods]
impl PyCall {
    /// Number of the call, unique in this process.
    #[getter]
    fn id(&self) -> u64 {
        self.call.id()
    }

    /// Path of the method, as `/datafacade.v1.DataFacadeService/L2Book`.
    #[getter]
    fn method(&self) -> &str {
        &self.call.question().method
    }

    /// The request message.
    #[getter]
    fn request(&self, py: Python<'_>) -> Py<PyBytes> {
        self.request.clone_ref(py)
    }

    /// When nobody waits any more, in ns of `time.monotonic_ns()`; None: never.
    #[getter]
    fn deadline_ns(&self) -> Option<u64> {
        self.call.question().deadline_ns
    }

    /// Address of the client, as `127.0.0.1:40312`.
    #[getter]
    fn peer(&self) -> String {
        self.call.question().peer.to_string()
    }

    /// Handle of the stream's subscriber in the Hub; None: a unary call.
    #[getter]
    fn subscriber(&self) -> Option<u64> {
        self.call.question().subscriber.as_ref().map(|subscription| subscription.id)
    }

    /// Whether nobody waits for the answer any more.
    #[getter]
    fn is_cancelled(&self) -> bool {
        self.call.is_cancelled()
    }

    /// Return the call's metadata, names in lower case; gRPC's own and binary values are left out.
    fn metadata(&self) -> Vec<(String, String)> {
        self.call
            .question()
            .metadata
            .iter()
            .filter(|(name, _)| is_metadata_for_handlers(name.as_str()))
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
            .collect()
    }

    /// Whether the edge itself asks, to have an answer in the cache made anew: nobody waits for it.
    #[getter]
    fn is_refresh(&self) -> bool {
        self.call.question().is_refresh
    }

    /// Answer a unary call with a message; accept a request of a stream, whose bytes are not sent.
    ///
    /// The rest is for `served`: `cache_tier` is the contract's CacheTier (1 MISS, 5 LIVE), the times are ns since 1970
    /// UTC, `age_ns` is the age of the data, `snapshot_id` the SHA-256 of the message in hex, empty: to be computed.
    /// With `key`, that of the answer in the edge's `answers`, equal requests get it from there from now on.
    /// Return whether somebody still waited.
    #[pyo3(signature = (message = &b""[..], *, cache_tier = 1, key = "", is_stale = false, ts_cached = 0,
        ts_expires = 0, age_ns = 0, snapshot_id = String::new()))]
    #[expect(clippy::too_many_arguments, reason = "keyword-only in Python")]
    fn reply(
        &self,
        message: &[u8],
        cache_tier: u32,
        key: &str,
        is_stale: bool,
        ts_cached: i64,
        ts_expires: i64,
        age_ns: u64,
        snapshot_id: String,
    ) -> bool {
        let provenance = Provenance { cache_tier, age_ns, ts_cached, ts_expires, is_stale, snapshot_id };
        self.call.reply_with(message, provenance, key)
    }

    /// Hand over one of several messages, at most 3 MiB; the last one is given with `reply`.
    ///
    /// The next one may come when the edge names this call in `credited()`: so a slow client slows its handler down.
    /// Return whether somebody still waited; else a cancellation comes instead of credit.
    ///
    /// Raises:
    ///     ValueError: The part before still waits, or this one is too large.
    fn part(&self, message: &[u8]) -> PyResult<bool> {
        self.call.part(message).map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// Refuse the call; a stream ends with this status. Return whether somebody still waited.
    ///
    /// `code` is a `google.rpc.Code` from 1 to 16, `details` a serialized `google.rpc.Status` or empty.
    ///
    /// Raises:
    ///     ValueError: `code` is out of range.
    #[pyo3(signature = (code, message, details = &b""[..]))]
    fn fail(&self, code: i32, message: &str, details: &[u8]) -> PyResult<bool> {
        if !(1..=16).contains(&code) {
            return Err(PyValueError::new_err(format!("code: expected 1 to 16, received {code}")));
        }
        Ok(self.call.fail(Code::from_i32(code), message, details))
    }
}

fn is_metadata_for_handlers(name: &str) -> bool {
    !name.starts_with("grpc-") && !name.ends_with("-bin") && !matches!(name, "te" | "content-type")
}

/// The gRPC server: one thread that never takes the interpreter's lock.
///
/// Watch `fd()` for reading; when it is readable, fetch `calls()`, then `closed()`,
/// then `cancelled()`, then `credited()`: the call of a stream that is closed is among the cancelled ones.
///
/// Args:
///     hub: What `HotSubscribe` streams from.
///     epoch: Unix seconds of this start of the publisher.
///     hosts: IP addresses to listen on.
///     port: Port of all of them; 0: a free one.
///     descriptor: Serialized `FileDescriptorSet` for reflection; empty: none.
///     served_methods: Paths of the methods whose answers end with `served`.
///     answers: Cache whose answers exact requests get without a handler; None: none.
///     cached_methods: By path of a method whose answers do not depend on who asks: the numbers of the fields that its
///         request may hold. Requests that hold others go to the handlers.
///     fresh_ms: Age up to which data has no freshness penalty.
///     expired_ms: Age from which on it has the whole.
///     dev: Serve reflection, on loopback only.
///     insecure_public: Accept addresses that others can reach although there is no TLS and no authentication.
///     limits: Bounds by name, times in milliseconds (`request_bytes_max`, `blocked_ms_max`, ...).
///
/// Raises:
///     ValueError: A host, a limit or the descriptor is not what is expected.
#[pyclass(frozen, name = "Edge", module = "datafacade._core")]
pub(crate) struct PyEdge(Edge);

impl PyEdge {
    fn bridge(&self) -> &Bridge {
        self.0.bridge()
    }
}

#[pymethods]
impl PyEdge {
    #[new]
    #[pyo3(signature = (hub, *, epoch, hosts = vec!["127.0.0.1".to_owned()], port = 0, descriptor = &b""[..],
        served_methods = vec![], answers = None, cached_methods = HashMap::new(), fresh_ms = 60_000,
        expired_ms = 300_000, dev = false, insecure_public = false, limits = BTreeMap::new()))]
    #[expect(clippy::too_many_arguments, reason = "keyword-only in Python")]
    fn py_new(
        hub: &PyHub,
        epoch: u32,
        hosts: Vec<String>,
        port: u16,
        descriptor: &[u8],
        served_methods: Vec<String>,
        answers: Option<&PyAnswerCache>,
        cached_methods: HashMap<String, Vec<u64>>,
        fresh_ms: u64,
        expired_ms: u64,
        dev: bool,
        insecure_public: bool,
        limits: BTreeMap<String, u64>,
    ) -> PyResult<Self> {
        let options = Options {
            listen: hosts.iter().map(|host| address(host, port)).collect::<PyResult<_>>()?,
            is_public_allowed: insecure_public,
            is_dev: dev,
            descriptor: descriptor.to_vec(),
            served_methods: served_methods.into_iter().collect(),
            repeats: answers.map(|answers| Repeats { answers: answers.shared(), fields: cached_methods }),
            freshness: Freshness {
                fresh: Duration::from_millis(fresh_ms),
                expired: Duration::from_millis(expired_ms),
            },
            epoch,
            limits: bounds(&limits)?,
        };
        Edge::new(options, hub.shared()).map(Self).map_err(from_edge)
    }

    /// Listen and start the thread; return the port.
    ///
    /// Raises:
    ///     AddressTaken: Another program listens there.
    ///     OSError: The address cannot be listened on.
    ///     RuntimeError: It was started before.
    fn start(&self, py: Python<'_>) -> PyResult<u16> {
        let addresses = py.detach(|| self.0.start()).map_err(from_edge)?;
        Ok(addresses.first().map_or(0, SocketAddr::port))
    }

    /// Return the addresses that clients can connect to, as `127.0.0.1:50051`; none before the start.
    fn addresses(&self) -> Vec<String> {
        self.0.addresses().iter().map(ToString::to_string).collect()
    }

    /// Return the descriptor that is readable while there is something to fetch; it belongs to the edge.
    fn fd(&self) -> i32 {
        self.bridge().fd()
    }

    /// Return the calls that came, oldest first, and silence `fd()`.
    fn calls(&self, py: Python<'_>) -> Vec<PyCall> {
        let mut calls = Vec::new();
        self.bridge().calls(|call| {
            let request = PyBytes::new(py, &call.question().request).unbind();
            calls.push(PyCall { call, request });
        });
        calls
    }

    /// Return the numbers of fetched calls that nobody waits for any more: deadline passed, client gone.
    fn cancelled(&self) -> Vec<u64> {
        self.bridge().cancelled()
    }

    /// Return the numbers of calls whose part the edge has taken: each may hand over its next message.
    fn credited(&self) -> Vec<u64> {
        self.bridge().credited()
    }

    /// Return the subscribers whose stream has ended; the Hub has dropped them already.
    fn closed(&self) -> Vec<u64> {
        self.bridge().closed()
    }

    /// Tell `grpc.health.v1` whether `service` is served; after `drain` nothing is.
    ///
    /// The names "" and `datafacade.v1.DataFacadeService` begin as not served.
    ///
    /// Raises:
    ///     RuntimeError: The edge was stopped.
    fn set_health(&self, service: &str, is_serving: bool) -> PyResult<()> {
        self.0.set_health(service, is_serving).map_err(from_edge)
    }

    /// Refuse new calls, tell health, and end the streams that are left after the grace; return at once.
    ///
    /// Raises:
    ///     RuntimeError: The edge was stopped.
    fn drain(&self, grace_ms: u64) -> PyResult<()> {
        self.0.drain(Duration::from_millis(grace_ms)).map_err(from_edge)
    }

    /// Whether no call and no stream is open.
    #[getter]
    fn is_idle(&self) -> bool {
        self.0.is_idle()
    }

    /// End what still runs and wait for the thread, less than a second. A second call does nothing.
    ///
    /// Raises:
    ///     TimeoutError: The thread did not end in time.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.stop()).map_err(from_edge)
    }

    /// Return the figures of the edge, by name. `latency_*` is from publication to the transport, `unary_*_ns` of unary
    /// calls from arrival to answer, in ns.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.0.stats();
        let dict = PyDict::new(py);
        for (name, value) in [
            ("connections_open", stats.connections_open),
            ("connections_total", stats.connections_total),
            ("connections_refused", stats.connections_refused),
            ("streams_open", stats.streams_open),
            ("streams_total", stats.streams_total),
            ("streams_cut_blocked", stats.streams_cut_blocked),
            ("streams_cut_slow", stats.streams_cut_slow),
            ("unary_open", stats.unary_open),
            ("unary_total", stats.unary_total),
            ("unary_repeated", stats.unary_repeated),
            ("unary_failed", stats.unary_failed),
            ("refreshes_posted", stats.refreshes_posted),
            ("calls_open", stats.calls_open),
            ("calls_refused", stats.calls_refused),
            ("calls_expired", stats.calls_expired),
            ("responses_sent", stats.responses_sent),
            ("records_sent", stats.records_sent),
            ("bytes_sent", stats.bytes_sent),
            ("panics", stats.panics),
            ("latency_count", stats.latency.count),
            ("latency_p50_ns", stats.latency.p50_ns),
            ("latency_p90_ns", stats.latency.p90_ns),
            ("latency_p99_ns", stats.latency.p99_ns),
            ("latency_p999_ns", stats.latency.p999_ns),
            ("latency_max_ns", stats.latency.max_ns),
            ("unary_count", stats.unary_latency.count),
            ("unary_p50_ns", stats.unary_latency.p50_ns),
            ("unary_p90_ns", stats.unary_latency.p90_ns),
            ("unary_p99_ns", stats.unary_latency.p99_ns),
            ("unary_p999_ns", stats.unary_latency.p999_ns),
        ] {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }
}

fn address(host: &str, port: u16) -> PyResult<SocketAddr> {
    let ip: IpAddr = host
        .parse()
        .map_err(|_| PyValueError::new_err(format!("hosts: expected an IP address, received {host:?}")))?;
    Ok(SocketAddr::new(ip, port))
}

fn bounds(limits: &BTreeMap<String, u64>) -> PyResult<Limits> {
    let mut bounds = Limits::default();
    for (name, value) in limits {
        if !bounds.set(name, *value) {
            return Err(PyValueError::new_err(format!("limits: no bound {name:?} can be {value}")));
        }
    }
    Ok(bounds)
}
