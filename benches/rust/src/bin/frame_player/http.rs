//! As much HTTP/1.1 and WebSocket (RFC 6455) as Binance's clients need; blocking, a thread for each connection.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
const FRAME_BYTES_MAX: usize = 1 << 20;

/// The writing side of a connection: answers and played frames go through one lock.
pub type Line = Arc<Mutex<TcpStream>>;

/// Writes the whole of `bytes`.
pub fn write(line: &Line, bytes: &[u8]) -> io::Result<()> {
    line.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .write_all(bytes)
}

/// The head of a request.
pub struct Head {
    /// Path and query.
    pub target: String,
    key: Option<String>,
}

impl Head {
    /// Reads the next head; `None` at the end of the connection.
    pub fn read(from: &mut BufReader<TcpStream>) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut key = None;
        loop {
            line.clear();
            from.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else {
                return Ok(Some(Self { target, key }));
            };
            if name.eq_ignore_ascii_case("sec-websocket-key") {
                key = Some(value.trim().to_owned());
            }
        }
    }

    /// Returns the answer to an upgrade, if one is asked for.
    pub fn upgrade(&self) -> Option<String> {
        let mut hash = Sha1::new();
        hash.update(self.key.as_ref()?);
        hash.update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        let accept = STANDARD.encode(hash.finalize());
        Some(format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        ))
    }
}

/// Returns an answer of JSON.
pub fn answer(status: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Appends a text frame's head for a payload of so many bytes.
pub fn push_text_head(length: usize, into: &mut Vec<u8>) {
    push_head(TEXT, length, into);
}

fn push_head(opcode: u8, length: usize, into: &mut Vec<u8>) {
    into.push(opcode);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => into.push(short),
        (_, Ok(medium)) => {
            into.push(126);
            into.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            into.push(127);
            into.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// Reads a client's frames until it ends; answers pings, gives texts to `on_text`.
pub fn serve_frames(
    from: &mut BufReader<TcpStream>,
    line: &Line,
    mut on_text: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    loop {
        let (opcode, payload) = read_frame(from)?;
        match opcode {
            TEXT => on_text(&payload)?,
            PING | CLOSE => {
                let mut reply = Vec::with_capacity(payload.len() + 4);
                push_head(
                    if opcode == PING { PONG } else { CLOSE },
                    payload.len(),
                    &mut reply,
                );
                reply.extend_from_slice(&payload);
                write(line, &reply)?;
                if opcode == CLOSE {
                    return Ok(());
                }
            }
            _ => {}
        }
    }
}

/// Reads one whole frame of a client, which is always masked.
fn read_frame(from: &mut BufReader<TcpStream>) -> io::Result<(u8, Vec<u8>)> {
    let [opcode, short] = read_array(from)?;
    let length = match short & 0x7f {
        126 => usize::from(u16::from_be_bytes(read_array(from)?)),
        127 => return Err(io::Error::other("a client's frame is too long")),
        short => usize::from(short),
    };
    let mask: [u8; 4] = read_array(from)?;
    let mut payload = vec![0; length.min(FRAME_BYTES_MAX)];
    from.read_exact(&mut payload)?;
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    Ok((opcode, payload))
}

fn read_array<const LENGTH: usize>(from: &mut BufReader<TcpStream>) -> io::Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}
