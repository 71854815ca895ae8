//! What the edge sends back: one body type for refusals, answers, streams and tonic's own services.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};
use http_body::{Body, Frame};
use tonic::Status;

use crate::parts::PartsBody;
use crate::reply::ReplyBody;
use crate::status;
use crate::stream::StreamBody;

/// Content type of every response.
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Ready when the edge ends its streams.
pub(crate) type Ending = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A body on its way to the client.
pub(crate) enum Outgoing {
    /// Nothing: the headers say it all.
    Empty,
    /// The answer of a handler.
    Reply(ReplyBody),
    /// The answer of a handler, in several messages.
    Parts(Box<PartsBody>),
    /// A subscription.
    Stream(Box<StreamBody>),
    /// An answer of health or reflection, some of which never end.
    Tonic(tonic::body::Body, Ending),
}

impl Outgoing {
    /// Makes a response out of a refusal: headers only.
    pub(crate) fn refusal(status: &Status) -> Response<Self> {
        let mut response = Response::new(Self::Empty);
        response.headers_mut().insert(CONTENT_TYPE, GRPC);
        if status.add_header(response.headers_mut()).is_err() {
            response.headers_mut().insert("grpc-status", HeaderValue::from_static("13"));
        }
        response
    }

    /// Makes a response out of a body whose trailers tell the outcome.
    pub(crate) fn response(body: Self) -> Response<Self> {
        let mut response = Response::new(body);
        response.headers_mut().insert(CONTENT_TYPE, GRPC);
        response
    }
}

/// Returns the trailers that tell `status`.
pub(crate) fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(3);
    if status.add_header(&mut trailers).is_err() {
        trailers.insert("grpc-status", HeaderValue::from_static("13"));
    }
    trailers
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = match &mut *self {
            Self::Empty => None,
            Self::Reply(reply) => reply.next(),
            Self::Parts(parts) => ready!(parts.poll_next(context)),
            Self::Stream(stream) => ready!(stream.poll_next(context)),
            Self::Tonic(body, ending) => {
                if let Poll::Ready(frame) = Pin::new(body).poll_frame(context) {
                    return Poll::Ready(frame);
                }
                ready!(ending.as_mut().poll(context));
                *self = Self::Empty;
                Some(Frame::trailers(trailers(&status::draining())))
            }
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Reply(_) | Self::Parts(_) | Self::Stream(_) => false,
            Self::Tonic(body, _) => body.is_end_stream(),
        }
    }
}
