//! Messages on an HTTP/2 stream: one byte of flags, four bytes of length, the message.

use std::future::poll_fn;
use std::pin::Pin;

use bytes::{Buf, Bytes, BytesMut};
use http_body::Body;
use tonic::Status;

use crate::status;

/// Bytes before each message.
pub(crate) const PREFIX_BYTES: usize = 5;

/// Room that is kept behind a message for the fields that the edge appends, bytes.
const TAIL_BYTES: usize = 128;

/// Copies `message` behind room for its prefix.
pub(crate) fn with_room(message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(PREFIX_BYTES + message.len() + TAIL_BYTES);
    frame.extend_from_slice(&[0; PREFIX_BYTES]);
    frame.extend_from_slice(message);
    frame
}

/// Returns the message of a frame.
pub(crate) fn message(frame: &[u8]) -> &[u8] {
    frame.get(PREFIX_BYTES..).unwrap_or_default()
}

/// Writes the prefix of a frame once its message is complete.
pub(crate) fn seal(frame: &mut [u8]) {
    let length = u32::try_from(message(frame).len()).unwrap_or(u32::MAX);
    if let Some((prefix, _)) = frame.split_first_chunk_mut::<PREFIX_BYTES>() {
        let [a, b, c, d] = length.to_be_bytes();
        *prefix = [0, a, b, c, d];
    }
}

/// Reads the messages of one request body, each of at most `bytes_max`.
#[derive(Debug)]
pub(crate) struct MessageReader<B> {
    body: B,
    buffer: BytesMut,
    bytes_max: usize,
    is_ended: bool,
}

impl<B> MessageReader<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    pub(crate) fn new(body: B, bytes_max: usize) -> Self {
        Self { body, buffer: BytesMut::new(), bytes_max, is_ended: false }
    }

    /// Returns the next message; `None`: the client sends no more. Safe to drop and to call again.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            if let Some(message) = self.buffered()? {
                return Ok(Some(message));
            }
            if self.is_ended {
                return self.end();
            }
            match poll_fn(|context| Pin::new(&mut self.body).poll_frame(context)).await {
                Some(Ok(frame)) => self.extend(frame),
                Some(Err(_)) => return Err(Status::cancelled("the client ended the call")),
                None => self.is_ended = true,
            }
        }
    }

    /// Returns the only message of a unary request.
    pub(crate) async fn only(&mut self) -> Result<Bytes, Status> {
        let first = self.next().await?;
        let message =
            first.ok_or_else(|| status::invalid_request("request", "expected one message, received none"))?;
        match self.next().await? {
            None => Ok(message),
            Some(_) => Err(status::invalid_request("request", "expected one message, received more")),
        }
    }

    fn extend(&mut self, frame: http_body::Frame<Bytes>) {
        if let Ok(data) = frame.into_data() {
            self.buffer.extend_from_slice(&data);
        }
    }

    fn end(&self) -> Result<Option<Bytes>, Status> {
        if self.buffer.is_empty() {
            return Ok(None);
        }
        Err(status::invalid_request("request", "the message ended before its announced length"))
    }

    fn buffered(&mut self) -> Result<Option<Bytes>, Status> {
        let Some(&[flags, a, b, c, d]) = self.buffer.first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        if flags != 0 {
            return Err(status::compressed());
        }
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > self.bytes_max {
            return Err(status::quota_exceeded("request_bytes_max", self.bytes_max));
        }
        if self.buffer.len() < PREFIX_BYTES + length {
            return Ok(None);
        }
        self.buffer.advance(PREFIX_BYTES);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::task::{Context, Poll};

    struct Chunks(VecDeque<Bytes>);

    impl Body for Chunks {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|chunk| Ok(http_body::Frame::data(chunk))))
        }
    }

    fn run<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn reader(chunks: &[&[u8]], bytes_max: usize) -> MessageReader<Chunks> {
        MessageReader::new(
            Chunks(chunks.iter().map(|chunk| Bytes::copy_from_slice(chunk)).collect()),
            bytes_max,
        )
    }

    fn sealed(message: &[u8]) -> Vec<u8> {
        let mut frame = with_room(message);
        seal(&mut frame);
        frame
    }

    #[test]
    fn a_sealed_frame_announces_the_length_of_its_message() {
        assert_eq!(sealed(b"abc"), b"\0\0\0\0\x03abc");
        assert_eq!(sealed(b""), b"\0\0\0\0\0");
    }

    #[test]
    fn a_message_of_exactly_the_bound_passes_and_one_byte_more_is_refused_unread() {
        let status = run(reader(&[&sealed(&[7; 10])], 10).only());
        assert_eq!(status.unwrap(), [7u8; 10].as_slice());
        let status = run(reader(&[b"\0\0\0\0\x0b"], 10).only()).unwrap_err();
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    }

    #[test]
    fn a_compressed_message_is_not_supported() {
        let status = run(reader(&[b"\x01\0\0\0\x01x"], 10).only()).unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unimplemented);
    }

    #[test]
    fn none_two_and_half_a_message_are_no_unary_request() {
        let two = [sealed(b"a"), sealed(b"b")].concat();
        for chunks in [&[][..], &[&two[..]], &[b"\0\0\0\0\x03ab"], &[b"\0\0"]] {
            let status = run(reader(chunks, 10).only()).unwrap_err();
            assert_eq!(status.code(), tonic::Code::InvalidArgument);
        }
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_messages(messages: Vec<Vec<u8>>, cut in 1usize..40) {
            let stream: Vec<u8> = messages.iter().flat_map(|message| sealed(message)).collect();
            let mut reader = reader(&stream.chunks(cut).collect::<Vec<_>>(), 1 << 20);
            let read: Vec<Vec<u8>> = run(async {
                let mut read = Vec::new();
                while let Some(message) = reader.next().await.unwrap() {
                    read.push(message.to_vec());
                }
                read
            });
            prop_assert_eq!(read, messages);
        }
    }
}
