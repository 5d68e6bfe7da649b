//! What a call sends: one message, which can be sent again, or a stream.

use bytes::Bytes;
use tonic::body::Body;

use crate::{
    inspect::{InspectBody, ReadAhead, ReadLimit, Reading},
    replay::{Replay, ReplayBody},
};

/// The body of a request on its way through the layer.
pub(super) type CallBody = ReplayBody<InspectBody<Body>>;

/// Copies requests that were taken down when the call was made, and no others.
pub(super) enum OneMessage {}

impl Replay<CallBody> for OneMessage {
    fn backup(body: &CallBody) -> Option<CallBody> {
        body.whole().is_some().then(|| body.copy()).flatten()
    }
}

/// Takes a request down if it is one message and all there, as a unary one always is. A body that is not goes on as it
/// came, with whatever of it was there.
///
/// It is done before the first send, and not along with it: a server may refuse a call before it has read the message,
/// and while the connection's window is full nothing would have been taken down.
pub(super) fn take_down(body: Body, limit: usize) -> CallBody {
    let bytes = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut ahead = ReadAhead::to_judge(body, Reading::Any, ReadLimit { bytes, ..ReadLimit::default() });
    if ahead.read_at_once() && ahead.trailers().is_none() {
        let data = ahead.bytes();
        if is_one_message(&data) {
            return ReplayBody::taken_down(Bytes::from(data.into_owned()));
        }
    }
    ReplayBody::new(ahead.into_body())
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
