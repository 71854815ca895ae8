//! A file descriptor that becomes readable when there is something to fetch: how the edge wakes an event
//! loop without taking the interpreter's lock. An eventfd on Linux, a pipe elsewhere.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// One bell with one listener.
#[derive(Debug)]
pub struct Doorbell {
    listen: OwnedFd,
    /// The writing end of a pipe; an eventfd is both ends.
    press: Option<OwnedFd>,
}

impl Doorbell {
    /// Makes a silent bell.
    ///
    /// # Errors
    /// What the system says when it has no descriptor left.
    #[cfg(target_os = "linux")]
    pub fn new() -> io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        let listen = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { listen, press: None })
    }

    /// Makes a silent bell.
    ///
    /// # Errors
    /// What the system says when it has no descriptor left.
    #[cfg(not(target_os = "linux"))]
    pub fn new() -> io::Result<Self> {
        let (listen, press) = rustix::pipe::pipe()?;
        for end in [&listen, &press] {
            rustix::io::ioctl_fionbio(end, true)?;
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
        }
        Ok(Self { listen, press: Some(press) })
    }

    /// Returns the descriptor to watch for reading; it stays owned by the bell.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.listen.as_raw_fd()
    }

    /// Makes the descriptor readable. A bell that cannot take one more ring is ringing already.
    pub fn ring(&self) {
        let press = self.press.as_ref().unwrap_or(&self.listen);
        let _ = rustix::io::write(press.as_fd(), &1u64.to_ne_bytes());
    }

    /// Makes the descriptor unreadable until the next ring.
    pub fn silence(&self) {
        let mut rings = [0u8; 512];
        let _ = rustix::io::read(self.listen.as_fd(), &mut rings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};

    fn is_ringing(bell: &Doorbell) -> bool {
        let mut watched = [PollFd::new(&bell.listen, PollFlags::IN)];
        let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut watched, Some(&now)).unwrap() == 1
    }

    #[test]
    fn a_new_bell_is_silent() {
        assert!(!is_ringing(&Doorbell::new().unwrap()));
    }

    #[test]
    fn one_silence_ends_any_number_of_rings() {
        let bell = Doorbell::new().unwrap();
        for _ in 0..3 {
            bell.ring();
        }
        assert!(is_ringing(&bell));
        bell.silence();
        assert!(!is_ringing(&bell));
    }

    #[test]
    fn silencing_a_silent_bell_does_not_block() {
        Doorbell::new().unwrap().silence();
    }
}
