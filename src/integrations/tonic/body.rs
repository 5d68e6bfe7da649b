//! What a call sends: one message, which can be sent again, or a stream.

use bytes::Bytes;
use tonic::body::Body;

use crate::{
    inspect::{InspectBody, ReadAhead, ReadLimit, Reading},
    replay::{Buffered, Replay, ReplayBody},
};

/// The body of a request on its way through the layer.
pub(super) type CallBody = ReplayBody<InspectBody<Body>>;

/// Copies requests of one message.
pub(super) enum OneMessage {}

impl Replay<CallBody> for OneMessage {
    fn backup(body: &CallBody) -> Option<CallBody> {
        Buffered::backup(body)
    }

    fn is_replayable(copy: &CallBody) -> bool {
        copy.whole().is_some_and(|data| is_one_message(data))
    }
}

/// A request that will never be sent again, as it is.
pub(super) fn passing(body: Body) -> CallBody {
    ReplayBody::with_limit(InspectBody::untouched(body), 0)
}

/// Takes a request down if it is one message and all there, as those of generated clients are. A body that is not goes on
/// as it came, with whatever of it was there; what a call `is_unary` sends is then taken down along with the send.
///
/// It is done before the first send where that can be: a server may refuse a call before it has read the message, and
/// while the connection's window is full nothing would have been taken down.
pub(super) fn take_down(body: Body, is_unary: bool, limit: usize) -> CallBody {
    let bytes = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut ahead = ReadAhead::to_judge(body, Reading::Any, ReadLimit { bytes, ..ReadLimit::default() });
    if ahead.read_at_once() && ahead.trailers().is_none() {
        let data = ahead.bytes();
        if is_one_message(&data) {
            return ReplayBody::taken_down(Bytes::from(data.into_owned()));
        }
    }
    ReplayBody::with_limit(ahead.into_body(), if is_unary { limit } else { 0 })
}

/// A flag, the length in four bytes, and a message of that length
/// ([gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), `Length-Prefixed-Message`).
fn is_one_message(data: &[u8]) -> bool {
    let Some(([_, length @ ..], message)) = data.split_first_chunk::<5>() else { return false };
    usize::try_from(u32::from_be_bytes(*length)).is_ok_and(|length| length == message.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_and_as_much_as_it_says_is_one_message() {
        for data in [&[0, 0, 0, 0, 0][..], &[0, 0, 0, 0, 1, 9], &[1, 0, 0, 0, 2, 9, 9]] {
            assert!(is_one_message(data), "{data:?}");
        }
        assert!(is_one_message(&[&[0, 0, 1, 2, 3][..], &[7; 0x01_02_03]].concat()));
    }

    #[test]
    fn nothing_a_part_and_several_messages_are_not() {
        for data in [&[][..], &[0], &[0, 0, 0, 0], &[0, 0, 0, 0, 1], &[0, 0, 0, 0, 2, 9], &[0, 0, 0, 0, 1, 9, 9]] {
            assert!(!is_one_message(data), "{data:?}");
        }
        assert!(!is_one_message(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
        assert!(!is_one_message(&[0, 1, 0, 0, 0]));
    }
}
