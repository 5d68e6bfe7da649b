//! A streaming body and the copy that is taken down while it is sent: C31 and C32.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use proptest::prelude::*;
use tower::BoxError;
use tower_auth_refresh::replay::{Buffered, Replay, ReplayBody};

use crate::support::frames::{Broken, Frames, Part, data, trailers};

// ===== what is copied =====

#[tokio::test]
async fn a_copy_hands_out_the_data_and_the_trailers_of_a_body_that_was_sent_to_its_end() {
    let (mut body, copy) = copied(Frames::new([data("first "), data("second"), trailers("x-sum", "3")]));

    let sent = read(&mut body).await;

    assert_eq!(sent, [data("first "), data("second"), trailers("x-sum", "3")]);
    assert!(Buffered::is_replayable(&copy));
    assert_eq!(read(copy).await, [data("first second"), trailers("x-sum", "3")]);
}

#[tokio::test]
async fn a_body_without_data_is_whole_with_its_trailers_alone() {
    let (mut body, copy) = copied(Frames::new([trailers("x-sum", "0")]));

    read(&mut body).await;

    assert_eq!(read(copy).await, [trailers("x-sum", "0")]);
}

#[test]
fn an_empty_body_is_whole_although_nobody_reads_it() {
    let (_body, copy) = copied(Empty::<Bytes>::new());

    assert!(Buffered::is_replayable(&copy));
    assert!(copy.is_end_stream());
    assert_eq!(copy.size_hint().exact(), Some(0));
}

#[tokio::test]
async fn a_body_whose_last_frame_says_so_is_whole_before_anybody_asks_for_its_end() {
    let (mut body, copy) = copied(Full::new(Bytes::from("all")));

    body.frame().await.unwrap().unwrap();

    assert!(Buffered::is_replayable(&copy));
}

#[tokio::test]
async fn a_body_is_whole_with_its_trailers_as_clients_ask_for_nothing_behind_them() {
    let (mut body, copy) = copied(Unending(Frames::new([data("all"), trailers("x-sum", "1")])));

    for _ in 0..2 {
        body.frame().await.unwrap().unwrap();
    }

    assert_eq!(read(copy).await, [data("all"), trailers("x-sum", "1")]);
}

#[tokio::test]
async fn a_copy_can_be_copied_for_the_replay_after_it() {
    let (mut body, first) = copied(Frames::new([data("all")]));
    read(&mut body).await;
    let second = Buffered::backup(&first).unwrap();

    assert_eq!(read(first).await, [data("all")]);
    assert_eq!(read(second).await, [data("all")]);
}

#[tokio::test]
async fn two_copies_of_one_body_are_both_whole() {
    let (mut body, first) = copied(Frames::new([data("all")]));
    let second = Buffered::backup(&body).unwrap();

    read(&mut body).await;

    assert_eq!((read(first).await, read(second).await), (vec![data("all")], vec![data("all")]));
}

// ===== what is not =====

#[tokio::test]
async fn a_copy_is_not_replayable_before_the_last_frame_is_known_to_be_the_last() {
    let (mut body, copy) = copied(Unending(Frames::new([data("first"), data("second")])));
    assert!(!Buffered::is_replayable(&copy));

    for _ in 0..2 {
        body.frame().await.unwrap().unwrap();
        assert!(!Buffered::is_replayable(&copy));
    }
    assert!(body.frame().await.is_none());

    assert!(Buffered::is_replayable(&copy));
}

#[tokio::test]
async fn a_body_that_was_dropped_halfway_leaves_no_copy() {
    let (mut body, copy) = copied(Frames::declared([data("first"), data("second")]));
    body.frame().await.unwrap().unwrap();

    drop(body);

    assert!(!Buffered::is_replayable(&copy));
}

#[tokio::test]
async fn a_body_of_declared_length_is_whole_with_its_last_byte_if_nothing_comes_behind() {
    let (mut body, copy) = copied(Unending(Frames::declared([data("first"), data("second")])));
    body.frame().await.unwrap().unwrap();
    assert!(!Buffered::is_replayable(&copy));

    body.frame().await.unwrap().unwrap();

    assert!(body.is_end_stream());
    assert_eq!(read(copy).await, [data("firstsecond")]);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn what_comes_behind_the_declared_length_is_copied_and_sent_in_its_turn() {
    let (mut body, copy) = copied(Unending(Frames::declared([data("all"), trailers("x-sum", "3")])));
    body.frame().await.unwrap().unwrap();

    assert_eq!((body.is_end_stream(), body.size_hint().exact()), (false, Some(0)));
    assert_eq!(read(&mut body).await, [trailers("x-sum", "3")]);
    assert_eq!(read(copy).await, [data("all"), trailers("x-sum", "3")]);
}

#[tokio::test]
async fn more_than_was_declared_passes_and_leaves_no_copy() {
    let (mut body, copy) = copied(Short(Frames::new([data("four"), data("more")])));
    body.frame().await.unwrap().unwrap();

    assert_eq!((body.is_end_stream(), body.size_hint().lower()), (false, 8));
    assert_eq!(read(&mut body).await, [data("more")]);
    assert!(!Buffered::is_replayable(&copy));
}

#[tokio::test]
async fn a_body_of_unknown_length_is_not_whole_because_the_client_lets_go_of_it() {
    let (mut body, copy) = copied(Unending(Frames::new([data("all, or not")])));
    body.frame().await.unwrap().unwrap();

    drop(body);

    assert!(!Buffered::is_replayable(&copy));
}

#[tokio::test]
async fn a_body_that_is_shorter_than_it_declared_leaves_no_copy() {
    let (mut body, copy) = copied(Lying(Frames::new([data("short")])));

    read(&mut body).await;

    assert!(!Buffered::is_replayable(&copy));
}

#[tokio::test]
async fn a_body_that_fails_passes_its_error_on_and_leaves_no_copy() {
    let (mut body, copy) = copied(Frames::new([data("first"), Part::Fail("broken")]));
    body.frame().await.unwrap().unwrap();

    let error = body.frame().await.unwrap().unwrap_err();

    assert_eq!(*error.downcast::<Broken>().unwrap(), Broken("broken"));
    assert!(body.frame().await.is_none());
    assert!(!Buffered::is_replayable(&copy));
}

#[tokio::test]
async fn a_copy_that_is_not_whole_gives_an_error_and_no_empty_body() {
    let (_body, mut copy) = copied(Frames::new([data("unsent")]));

    assert!(!copy.is_end_stream());
    assert!(copy.frame().await.unwrap().is_err());
}

#[tokio::test]
async fn a_body_that_has_been_read_from_cannot_be_copied() {
    let mut body = ReplayBody::new(Frames::new([data("first"), data("second")]));
    body.frame().await.unwrap().unwrap();

    assert!(Buffered::backup(&body).is_none());
}

#[tokio::test]
async fn a_copy_that_has_been_read_from_cannot_be_copied() {
    let (mut body, mut copy) = copied(Frames::new([data("all"), trailers("x-sum", "1")]));
    read(&mut body).await;
    copy.frame().await.unwrap().unwrap();

    assert!(Buffered::backup(&copy).is_none());
}

// ===== the bound =====

#[tokio::test]
async fn a_body_is_kept_up_to_its_bound_and_given_up_above_it() {
    for (length, is_kept) in [(9, true), (10, true), (11, false)] {
        let (mut body, copy) = copied_up_to(10, Frames::new([data("12345"), data(vec![b'x'; length - 5])]));

        let sent = read(&mut body).await;

        assert_eq!(sent, [data("12345"), data(vec![b'x'; length - 5])]);
        assert_eq!(Buffered::is_replayable(&copy), is_kept, "{length} bytes");
    }
}

#[tokio::test]
async fn trailers_count_for_the_bound() {
    for (limit, is_kept) in [(9, false), (10, true)] {
        let (mut body, copy) = copied_up_to(limit, Frames::new([data("1234"), trailers("x-sum", "3")]));

        assert_eq!(read(&mut body).await.len(), 2);

        assert_eq!(Buffered::is_replayable(&copy), is_kept, "up to {limit}");
    }
}

#[test]
fn a_body_that_declares_more_than_the_bound_is_not_copied_at_all() {
    let body = ReplayBody::with_limit(Full::new(Bytes::from("12345")), 4);

    assert!(Buffered::backup(&body).is_none());
}

#[test]
fn the_bound_is_64_kib_unless_told_otherwise() {
    let of = |length| ReplayBody::new(Full::new(Bytes::from(vec![0; length])));

    assert!(Buffered::backup(&of(64 * 1024)).is_some());
    assert!(Buffered::backup(&of(64 * 1024 + 1)).is_none());
}

#[tokio::test]
async fn with_a_bound_of_0_only_an_empty_body_is_copied() {
    let (mut empty, copy) = copied_up_to(0, Unending(Frames::new([])));
    read(&mut empty).await;
    assert!(Buffered::is_replayable(&copy));

    let (mut body, copy) = copied_up_to(0, Frames::new([data("x")]));
    read(&mut body).await;
    assert!(!Buffered::is_replayable(&copy));
}

#[tokio::test]
async fn nothing_is_kept_of_a_body_that_nobody_copies_or_whose_copy_is_gone() {
    let mut uncopied = ReplayBody::new(Frames::new([data("first"), data("second")]));
    uncopied.frame().await.unwrap().unwrap();
    assert_eq!(format!("{uncopied:?}"), "ReplayBody { kind: Original, kept: 0 }");

    let (mut body, copy) = copied(Frames::new([data("first"), data("second"), data("third")]));
    body.frame().await.unwrap().unwrap();
    assert_eq!(format!("{body:?}"), "ReplayBody { kind: Original, kept: 5 }");
    drop(copy);
    body.frame().await.unwrap().unwrap();
    assert_eq!(format!("{body:?}"), "ReplayBody { kind: Original, kept: 0 }");
}

// ===== lengths =====

#[tokio::test]
async fn the_original_says_of_its_length_what_the_body_says() {
    let mut body = ReplayBody::new(Frames::declared([data("123"), data("4567")]));
    for left in [7, 4, 0] {
        assert_eq!(body.size_hint().exact(), Some(left));
        assert_eq!(body.is_end_stream(), left == 0);
        body.frame().await;
    }

    let body = ReplayBody::new(Frames::new([data("123")]));
    assert_eq!((body.size_hint().lower(), body.size_hint().upper()), (0, None));
}

#[tokio::test]
async fn a_copy_declares_its_length_if_the_original_did() {
    let (mut body, mut copy) = copied(Frames::declared([data("123"), data("4567"), trailers("x-sum", "7")]));
    read(&mut body).await;

    assert_eq!((copy.size_hint().exact(), copy.is_end_stream()), (Some(7), false));
    copy.frame().await.unwrap().unwrap();
    assert_eq!((copy.size_hint().exact(), copy.is_end_stream()), (Some(0), false));
    copy.frame().await.unwrap().unwrap();
    assert_eq!((copy.size_hint().exact(), copy.is_end_stream()), (Some(0), true));
}

#[tokio::test]
async fn a_copy_declares_no_length_if_the_original_did_not() {
    let (mut body, mut copy) = copied(Frames::new([data("123"), data("4567")]));
    read(&mut body).await;

    assert_eq!((copy.size_hint().lower(), copy.size_hint().upper()), (7, None));
    copy.frame().await.unwrap().unwrap();
    assert_eq!((copy.size_hint().lower(), copy.size_hint().upper()), (0, None));
    assert!(copy.is_end_stream());
}

#[tokio::test]
async fn a_copy_that_is_not_whole_says_nothing_of_its_length() {
    let (_body, copy) = copied(Frames::declared([data("123")]));

    assert_eq!((copy.size_hint().lower(), copy.size_hint().upper()), (0, None));
}

// ===== any body =====

proptest! {
    #[test]
    fn whatever_is_sent_passes_unchanged_and_a_copy_is_whole_or_refused(
        lengths in prop::collection::vec(0_usize..40, 0..8),
        with_trailers: bool,
        declared: bool,
        limit in 0_usize..120,
        reads in 0_usize..12,
    ) {
        let mut parts: Vec<_> = lengths.iter().map(|&length| data(vec![b'x'; length])).collect();
        parts.extend(with_trailers.then(|| trailers("x-sum", "3")));
        let frames = if declared { Frames::declared(parts.clone()) } else { Frames::new(parts.clone()) };
        let total: usize = lengths.iter().sum();
        let mut body = ReplayBody::with_limit(frames, limit);
        let copy = Buffered::backup(&body);
        prop_assert_eq!(copy.is_none(), declared && total > limit);

        let sent: Vec<_> = std::iter::from_fn(|| next(&mut body)).take(reads).collect();

        prop_assert_eq!(&sent[..], &parts[..reads.min(parts.len())]);
        let Some(copy) = copy else { return Ok(()) };
        let fits = total + if with_trailers { 6 } else { 0 } <= limit;
        let is_whole = Buffered::is_replayable(&copy);
        let may_be = fits || parts.is_empty();
        if declared && reads < parts.len() {
            // With its last byte a body may be at its end, or before its trailers, which are looked at then.
            prop_assert!(!is_whole || may_be && lengths.iter().take(reads).sum::<usize>() == total);
        } else {
            prop_assert_eq!(is_whole, reads >= parts.len() && may_be);
        }
        if is_whole {
            let mut copy = copy;
            let mut replayed: Vec<_> = std::iter::from_fn(|| next(&mut copy)).collect();
            let last = replayed.pop_if(|part| matches!(part, Part::Trailers(_)));
            prop_assert_eq!(last, with_trailers.then(|| trailers("x-sum", "3")));
            prop_assert_eq!(replayed, if total > 0 { vec![data(vec![b'x'; total])] } else { vec![] });
        }
    }
}

// ===== helpers =====

/// Never says that it has come to its end before it is asked for more.
struct Unending(Frames);

/// Declares more than it has.
struct Lying(Frames);

/// Declares less than it has.
struct Short(Frames);

fn copied<B: Body>(body: B) -> (ReplayBody<B>, ReplayBody<B>) {
    copied_up_to(64 * 1024, body)
}

fn copied_up_to<B: Body>(limit: usize, body: B) -> (ReplayBody<B>, ReplayBody<B>) {
    let body = ReplayBody::with_limit(body, limit);
    let copy = Buffered::backup(&body).expect("a copy");
    (body, copy)
}

async fn read<B: Body<Data = Bytes, Error = BoxError> + Unpin>(mut body: B) -> Vec<Part> {
    let mut parts = Vec::new();
    while let Some(frame) = body.frame().await {
        parts.push(part(frame.unwrap()));
    }
    parts
}

fn next<B: Body<Data = Bytes, Error = BoxError> + Unpin>(body: &mut B) -> Option<Part> {
    match pin!(body.frame()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(frame) => frame.map(|frame| part(frame.unwrap())),
        Poll::Pending => panic!("nothing to wait for"),
    }
}

fn part(frame: Frame<Bytes>) -> Part {
    match frame.into_data() {
        Ok(data) => Part::Data(data),
        Err(frame) => Part::Trailers(frame.into_trailers().unwrap()),
    }
}

impl Body for Unending {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl Body for Lying {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(100)
    }
}

impl Body for Short {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(4)
    }
}
