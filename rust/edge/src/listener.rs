//! Where the edge listens. Binding happens on the caller's thread, so that a taken port is an error at once.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::TcpStream;

use crate::edge::EdgeError;
use crate::shared::Shared;
use crate::{connection, executor, stats};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1_024;

/// Pause after a failed accept (no descriptor left): trying again at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Binds all addresses. The port that the first one got is taken for the others, where they ask for any.
pub(crate) fn bind_all(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, EdgeError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    let mut port_taken = None;
    for &address in addresses {
        let mut wanted = address;
        if let (0, Some(port)) = (address.port(), port_taken) {
            wanted.set_port(port);
        }
        let failed = |source| EdgeError::Listen { address: wanted, source };
        let listener = bind(wanted).map_err(failed)?;
        port_taken = Some(listener.local_addr().map_err(failed)?.port());
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Binds one address for ourselves alone: no `SO_REUSEPORT`, so a second instance fails (FAULTS E17).
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Only lets a port be taken again whose last connections are still closing.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Accepts connections for as long as the edge lives.
pub(crate) async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => admit(&shared, socket, peer),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

fn admit(shared: &Arc<Shared>, socket: TcpStream, peer: SocketAddr) {
    let stats = &shared.stats;
    let connections_max = shared.options.limits.connections_max as u64;
    if stats.connections_open.load(Ordering::Relaxed) >= connections_max {
        stats::add(&stats.connections_refused, 1);
        return;
    }
    stats::add(&stats.connections_total, 1);
    // Without it small responses wait for the client's delayed acknowledgement: p50 4.6 ms (DESIGN 4).
    if SockRef::from(&socket).set_tcp_nodelay(true).is_err() {
        return;
    }
    executor::spawn(stats, connection::serve(Arc::clone(shared), socket, peer));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_refused_and_names_its_address() {
        let any = "127.0.0.1:0".parse().unwrap();
        let first = bind_all(&[any]).unwrap();
        let address = first[0].local_addr().unwrap();
        let error = bind_all(&[address]).unwrap_err();
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }

    #[test]
    fn the_second_address_takes_the_port_of_the_first() {
        let addresses = ["127.0.0.1:0".parse().unwrap(), "127.0.0.2:0".parse().unwrap()];
        let ports: Vec<u16> = bind_all(&addresses)
            .unwrap()
            .iter()
            .map(|listener| listener.local_addr().unwrap().port())
            .collect();
        assert_eq!(ports[0], ports[1]);
    }
}
