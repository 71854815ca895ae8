//! The played venue's REST and WebSocket: who wants which stream, and who has taken its snapshot.

use std::io::{self, BufReader, Read as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::Value;

use crate::http::{Head, Line, answer, push_text_head, serve_frames, write};

/// What one symbol tells before it plays.
pub struct Texts {
    /// Answer of `/api/v3/depth`.
    pub snapshot: Vec<u8>,
    /// The frame that bridges it, as it is sent.
    pub primer: Vec<u8>,
}

#[derive(Default)]
struct Clients {
    followers: Vec<Option<Line>>,
    fetched: Vec<u64>, // snapshots that were taken, by symbol
}

/// The venue.
pub struct Venue {
    symbols: Vec<String>,
    listing: Vec<u8>,
    texts: Vec<Texts>,
    clients: Mutex<Clients>,
    changed: Condvar,
    progress: AtomicU64,
}

impl Venue {
    /// Returns a venue of these symbols.
    pub fn new(symbols: Vec<String>, listing: Vec<u8>, texts: Vec<Texts>) -> Arc<Self> {
        let count = symbols.len();
        Arc::new(Self {
            symbols,
            listing,
            texts,
            clients: Mutex::new(Clients {
                followers: vec![None; count],
                fetched: vec![0; count],
            }),
            changed: Condvar::new(),
            progress: AtomicU64::new(0),
        })
    }

    /// Serves for ever, each connection on a thread.
    pub fn listen(self: &Arc<Self>, listener: TcpListener) -> io::Result<()> {
        let venue = Arc::clone(self);
        thread::Builder::new()
            .name("listener".into())
            .spawn(move || {
                for stream in listener.incoming().flatten() {
                    let venue = Arc::clone(&venue);
                    let serve = move || {
                        if let Err(error) = venue.serve(stream)
                            && error.kind() != io::ErrorKind::UnexpectedEof
                        {
                            eprintln!("frame_player: a connection ended: {error}");
                        }
                    };
                    if let Err(error) = thread::Builder::new().spawn(serve) {
                        eprintln!("frame_player: no thread: {error}");
                    }
                }
            })?;
        Ok(())
    }

    /// Waits until every symbol is followed and its snapshot taken; returns where the frames go.
    pub fn wait_followed(&self) -> Vec<Line> {
        let mut clients = self.clients();
        while clients.followers.iter().any(Option::is_none) || clients.fetched.contains(&0) {
            clients = self
                .changed
                .wait(clients)
                .unwrap_or_else(PoisonError::into_inner);
        }
        clients.followers.iter().flatten().cloned().collect()
    }

    /// Returns how many snapshots were taken; more than one a symbol means that a client started over.
    pub fn snapshots_taken(&self) -> u64 {
        self.clients().fetched.iter().sum()
    }

    /// Returns how many frames the slowest reader has, as far as it told.
    pub fn progress(&self) -> u64 {
        self.progress.load(Ordering::Acquire)
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let line: Line = Arc::new(Mutex::new(stream.try_clone()?));
        let mut from = BufReader::new(stream);
        while let Some(head) = Head::read(&mut from)? {
            if let Some(reply) = head.upgrade() {
                write(&line, reply.as_bytes())?;
                return self.serve_streams(&mut from, &line, &head.target);
            }
            if head.target == "/progress" {
                self.hear_progress(&mut from);
                return Ok(());
            }
            write(&line, &self.rest(&head.target))?;
        }
        Ok(())
    }

    fn rest(&self, target: &str) -> Vec<u8> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let asked = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("symbol="));
        match (path, asked.and_then(|asked| self.index(asked))) {
            ("/api/v3/exchangeInfo", _) => answer("200 OK", &self.listing),
            ("/api/v3/depth", Some(index)) => {
                if let Some(count) = self.clients().fetched.get_mut(index) {
                    *count += 1;
                }
                self.changed.notify_all();
                let snapshot = self.texts.get(index).map(|texts| texts.snapshot.as_slice());
                answer("200 OK", snapshot.unwrap_or_default())
            }
            _ => {
                eprintln!("frame_player: not served: {target}");
                answer("404 Not Found", b"{\"code\":-1,\"msg\":\"not served\"}")
            }
        }
    }

    fn serve_streams(
        &self,
        from: &mut BufReader<TcpStream>,
        line: &Line,
        target: &str,
    ) -> io::Result<()> {
        if let Some((_, streams)) = target.split_once("streams=") {
            self.follow(streams.split('/'), line)?;
        }
        serve_frames(from, line, |text| {
            let request: Value = serde_json::from_slice(text)?;
            let id = request.get("id").unwrap_or(&Value::Null);
            let reply = format!("{{\"result\":null,\"id\":{id}}}").into_bytes();
            write(line, &framed(&reply))?;
            let streams = request
                .get("params")
                .and_then(Value::as_array)
                .map_or(&[][..], Vec::as_slice);
            if request.get("method").and_then(Value::as_str) == Some("SUBSCRIBE") {
                self.follow(streams.iter().filter_map(Value::as_str), line)?;
            }
            Ok(())
        })
    }

    /// Remembers who follows, and sends each symbol's primer.
    fn follow<'a>(&self, streams: impl Iterator<Item = &'a str>, line: &Line) -> io::Result<()> {
        for stream in streams {
            let Some(index) = stream
                .strip_suffix("@depth@100ms")
                .and_then(|name| self.index(name))
            else {
                continue; // another channel: it stays silent, as in a market without news of it
            };
            let primer = self.texts.get(index).map(|texts| texts.primer.as_slice());
            write(line, primer.unwrap_or_default())?;
            if let Some(place) = self.clients().followers.get_mut(index) {
                *place = Some(Arc::clone(line));
            }
            self.changed.notify_all();
        }
        Ok(())
    }

    fn hear_progress(&self, from: &mut BufReader<TcpStream>) {
        let mut count = [0; 8];
        while from.read_exact(&mut count).is_ok() {
            self.progress
                .store(u64::from_le_bytes(count), Ordering::Release);
        }
        self.progress.store(u64::MAX, Ordering::Release); // whoever read is gone: nobody is waited for
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.symbols
            .iter()
            .position(|symbol| symbol.eq_ignore_ascii_case(name))
    }
}

/// Appends one payload as a combined stream wraps it, or as it is.
pub fn push_frame(symbol: &str, is_combined: bool, payload: &[u8], into: &mut Vec<u8>) {
    if is_combined {
        let name = symbol.to_ascii_lowercase();
        let head = format!("{{\"stream\":\"{name}@depth@100ms\",\"data\":");
        push_text_head(head.len() + payload.len() + 1, into);
        into.extend_from_slice(head.as_bytes());
        into.extend_from_slice(payload);
        into.push(b'}');
    } else {
        push_text_head(payload.len(), into);
        into.extend_from_slice(payload);
    }
}

fn framed(text: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(text.len() + 4);
    push_text_head(text.len(), &mut frame);
    frame.extend_from_slice(text);
    frame
}
