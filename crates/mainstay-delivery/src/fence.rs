//! The last moment at which a message can be held back: when its bytes are handed to the network.
//!
//! A connection is driven by a task of its own. A process that is stopped after a message was handed to that task, and goes
//! on when somebody else leads, would still write it out; so it is asked there whether it may.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Whether this process may send at this moment.
pub type MaySend = Arc<dyn Fn() -> bool + Send + Sync>;

/// The body of a request that breaks off, before its first byte, if it may not be sent any more.
pub(crate) struct FencedBody {
    bytes: Option<Bytes>,
    may_send: MaySend,
}

impl FencedBody {
    pub(crate) fn new(bytes: Vec<u8>, may_send: MaySend) -> Self {
        Self {
            bytes: Some(Bytes::from(bytes)),
            may_send,
        }
    }
}

/// It may not be sent any more.
#[derive(Debug, thiserror::Error)]
#[error("it may not be sent any more")]
pub(crate) struct HeldBack;

impl Body for FencedBody {
    type Data = Bytes;
    type Error = HeldBack;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HeldBack>>> {
        let Some(bytes) = self.bytes.take() else {
            return Poll::Ready(None);
        };
        let frame = match (self.may_send)() {
            true => Ok(Frame::data(bytes)),
            false => Err(HeldBack),
        };
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.bytes.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(left).unwrap_or(u64::MAX))
    }
}
