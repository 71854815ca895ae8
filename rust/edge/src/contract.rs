//! Names and numbers of the contract that the edge must know to serve it; the rest of it is bytes to the edge.

use crate::frame;
use crate::protobuf::{self, Fields, Malformed, Value};

/// The service of version 1, as health names it.
pub(crate) const SERVICE: &str = "datafacade.v1.DataFacadeService";
/// Paths of all services that handlers answer.
pub(crate) const PACKAGE: &str = "/datafacade.v1.";
/// Path of the one method that streams from the Hub.
pub(crate) const HOT_SUBSCRIBE: &str = "/datafacade.v1.DataFacadeService/HotSubscribe";

/// Fields of `HotSubscribeRequest`.
const REQUEST_ID: u64 = 1;
const ACK_STREAM_SEQ: u64 = 4;

/// Fields of `HotSubscribeResponse`.
const STREAM_SEQ: u64 = 1;
const TS_SEND: u64 = 2;
const TS_WATERMARK: u64 = 3;

/// Bytes of a fixed field behind its tag.
const FIXED_BYTES: usize = 8;

/// What the edge reads of a `HotSubscribeRequest`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RequestSummary {
    /// Newest response that the client has processed; 0: none.
    pub ack_stream_seq: u64,
    /// Whether it holds more than an acknowledgement.
    pub is_for_handler: bool,
}

impl RequestSummary {
    /// Reads the top level of a request. As in any protobuf reader the last of equal fields counts.
    pub(crate) fn of(request: &[u8]) -> Result<Self, Malformed> {
        let mut summary = Self::default();
        for field in Fields::new(request) {
            match field? {
                (ACK_STREAM_SEQ, Value::Integer(seq)) => summary.ack_stream_seq = seq,
                (REQUEST_ID, Value::Integer(_)) => {}
                _ => summary.is_for_handler = true,
            }
        }
        Ok(summary)
    }
}

/// The header of one streamed response, with room for what is known only when the updates are there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResponseHeader {
    /// Where the two stamps stand in the frame.
    ts_send_at: usize,
    ts_watermark_at: usize,
}

impl ResponseHeader {
    /// Starts a frame: room for the prefix, then the header with empty stamps.
    pub(crate) fn begin(frame: &mut Vec<u8>, stream_seq: u64) -> Self {
        frame.clear();
        frame.extend_from_slice(&[0; frame::PREFIX_BYTES]);
        protobuf::put_integer(frame, STREAM_SEQ, stream_seq);
        protobuf::put_fixed64(frame, TS_SEND, 0);
        let ts_send_at = frame.len() - FIXED_BYTES;
        protobuf::put_fixed64(frame, TS_WATERMARK, 0);
        Self { ts_send_at, ts_watermark_at: frame.len() - FIXED_BYTES }
    }

    /// Fills in the stamps, ns since 1970 UTC, and the prefix.
    pub(crate) fn finish(self, frame: &mut [u8], ts_send: i64, ts_watermark: i64) {
        for (at, stamp) in [(self.ts_send_at, ts_send), (self.ts_watermark_at, ts_watermark)] {
            if let Some(place) = frame.get_mut(at..at + FIXED_BYTES) {
                place.copy_from_slice(&stamp.to_le_bytes());
            }
        }
        frame::seal(frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_alone_is_not_for_the_handler() {
        let mut request = Vec::new();
        protobuf::put_integer(&mut request, REQUEST_ID, 7);
        protobuf::put_integer(&mut request, ACK_STREAM_SEQ, 300);
        let summary = RequestSummary::of(&request).unwrap();
        assert_eq!(summary, RequestSummary { ack_stream_seq: 300, is_for_handler: false });
    }

    #[test]
    fn a_subscription_and_an_unknown_field_are_for_the_handler() {
        for number in [2, 3, 99] {
            let mut request = Vec::new();
            protobuf::put_bytes(&mut request, number, b"");
            assert!(RequestSummary::of(&request).unwrap().is_for_handler, "{number}");
        }
    }

    #[test]
    fn the_header_costs_twenty_bytes_and_stands_first() {
        // 1: varint 5 -> 08 05; 2: fixed64 -> 11 + 8 bytes; 3: fixed64 -> 19 + 8 bytes.
        let mut frame = Vec::new();
        let header = ResponseHeader::begin(&mut frame, 5);
        frame.extend_from_slice(b"updates");
        header.finish(&mut frame, 0x0102_0304_0506_0708, -1);
        let expected =
            [&[0, 0, 0, 0, 27, 0x08, 5, 0x11, 8, 7, 6, 5, 4, 3, 2, 1, 0x19][..], &[0xff; 8], b"updates"]
                .concat();
        assert_eq!(frame, expected);
    }
}
