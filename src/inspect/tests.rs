#![allow(clippy::type_complexity, reason = "a helper shows the types that it is about in full")]

use std::{
    borrow::Cow,
    collections::VecDeque,
    convert::Infallible,
    future::poll_fn,
    marker::{PhantomData, PhantomPinned},
    mem::size_of,
    pin::pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
};

use bytes::buf::Chain;
use futures::FutureExt;
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt, Full};

use self::script::{
    Step::{Data, Fail, Later, Never, Trailers},
    *,
};
use super::*;

mod script;

// ===== what is read ahead comes again =====

#[test]
fn an_untouched_body_passes_frames_trailers_and_errors_as_they_came() {
    let steps = [Data("ab"), Later, Data(""), Data("c"), Fail("broken"), Data("d"), Trailers("t")];
    let seen = everything(InspectBody::untouched(script(steps.clone())));
    assert_eq!(seen, steps);
}

#[test]
fn a_body_read_to_its_end_comes_again_frame_by_frame_with_its_trailers() {
    let mut ahead = any(script([Data("ab"), Data(""), Data("c"), Trailers("t")]));
    assert_eq!(poll(&mut ahead), Poll::Ready(Outcome::Whole));
    assert_eq!(everything(ahead.into_body()), [Data("ab"), Data(""), Data("c"), Trailers("t")]);
}

#[test]
fn an_error_stops_the_reading_and_comes_behind_the_frames_before_it_and_before_the_rest() {
    let mut ahead = any(script([Data("ab"), Fail("broken"), Data("c"), Trailers("t")]));
    assert_eq!(poll(&mut ahead), Poll::Ready(Outcome::Partial));
    assert_eq!(everything(ahead.into_body()), [Data("ab"), Fail("broken"), Data("c"), Trailers("t")]);
}

#[tokio::test(start_paused = true)]
async fn a_body_given_back_in_the_middle_of_the_reading_loses_nothing() {
    let mut ahead = any(script([Data("ab"), Later, Data("c"), Trailers("t")]));
    assert_eq!(poll(&mut ahead), Poll::Pending);
    assert_eq!(everything(ahead.into_body()), [Data("ab"), Data("c"), Trailers("t")]);
}

#[tokio::test(start_paused = true)]
async fn whatever_is_read_ahead_the_caller_sees_what_an_untouched_body_shows() {
    let mut random = fastrand::Rng::with_seed(0x5eed);
    for _ in 0..3_000 {
        let kinds = [Data(""), Data("a"), Data("{b"), Data(" cdefg"), Later, Fail("broken"), Trailers("t"), Never];
        let steps: Vec<Step> = (0..random.usize(0..8)).map(|_| kinds[random.usize(0..kinds.len())].clone()).collect();
        let make = || match steps.iter().map(Step::len).sum() {
            length if steps.len().is_multiple_of(2) => with_steps(&steps).hint((length, Some(length))),
            _ => with_steps(&steps),
        };
        let reading = if random.bool() { Reading::Any } else { Reading::Object };
        let mut ahead = ReadAhead::to_judge(make(), reading, up_to(random.u64(0..12)));
        for _ in 0..random.usize(0..4) {
            let _ = poll(&mut ahead);
        }
        // The waits are over for what was read ahead, and of an unknown length more is known.
        let compared = |shown: Vec<Shown>| -> Vec<_> {
            let steps = shown.into_iter().filter(|(step, ..)| *step != Later);
            steps.map(|(step, is_end_stream, hint)| (step, is_end_stream, hint.1.map(|_| hint))).collect()
        };
        assert_eq!(compared(shown(ahead.into_body())), compared(shown(make())), "{steps:?}");
    }
}

#[test]
fn bytes_are_handed_on_without_a_copy() {
    let data = Bytes::from(vec![7; 100]);
    for read_ahead in [false, true] {
        let mut body = InspectBody::untouched(Full::new(data.clone()));
        if read_ahead {
            let mut ahead = any(Full::new(data.clone()));
            assert_eq!(poll(&mut ahead), Poll::Ready(Outcome::Whole));
            body = ahead.into_body();
        }
        let came = first_data(body);
        assert_eq!((came.as_ptr(), came.len()), (data.as_ptr(), data.len()), "{read_ahead}");
    }
}

#[test]
fn data_in_pieces_stays_one_frame() {
    let pieces = Bytes::from_static(b"ab").chain(Bytes::from_static(b"cd"));
    let mut ahead = any(Full::<Chain<Bytes, Bytes>>::new(pieces));
    assert_eq!(poll(&mut ahead), Poll::Ready(Outcome::Whole));
    assert_eq!(first_data(ahead.into_body()), "abcd");
}

#[test]
fn a_body_that_was_read_to_its_end_is_dropped_at_once() {
    let body = script([Data("ab")]);
    let alive = Arc::downgrade(&body.polls);
    let mut ahead = any(body);
    assert_eq!(poll(&mut ahead), Poll::Ready(Outcome::Whole));
    assert_eq!(alive.strong_count(), 0);
}

// ===== hints =====

#[test]
fn the_size_hint_counts_what_was_read_ahead_and_what_is_left() {
    let mut ahead = ReadAhead::to_judge(script([Data("abc"), Data("de")]).hint((4, Some(9))), Reading::Any, up_to(2));
    assert_eq!(poll(&mut ahead), Poll::Ready(Outcome::Partial));
    let mut body = pin!(ahead.into_body());
    assert_eq!(bounds(&body.size_hint()), (4, Some(9)));
    let _ = poll_frame(body.as_mut());
    assert_eq!(bounds(&body.size_hint()), (1, Some(6)));
}

#[test]
fn the_size_hint_of_a_body_of_unknown_length_is_not_sharpened() {
    let mut ahead = any(script([Data("abc"), Trailers("t")]));
    assert_eq!(poll(&mut ahead), Poll::Ready(Outcome::Whole));
    assert_eq!(bounds(&ahead.into_body().size_hint()), (3, None));
}

#[test]
fn a_size_hint_that_would_overflow_is_cut_off() {
    struct Boundless;
    impl Body for Boundless {
        type Data = Bytes;
        type Error = Broken;
        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"abc")))))
        }
        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(u64::MAX - 1)
        }
    }
    let mut ahead = ReadAhead::to_judge(Boundless, Reading::Any, up_to(2));
    assert_eq!(poll(&mut ahead), Poll::Ready(Outcome::Partial));
    assert_eq!(bounds(&ahead.into_body().size_hint()), (u64::MAX, None));
}

#[test]
fn the_stream_has_not_ended_while_frames_or_an_error_are_left() {
    let mut ahead = any(script([Data(""), Fail("broken")]));
    assert_eq!(poll(&mut ahead), Poll::Ready(Outcome::Partial));
    let mut body = pin!(ahead.into_body());
    for _ in 0..2 {
        assert!(!body.is_end_stream());
        let _ = poll_frame(body.as_mut());
    }
    assert!(body.is_end_stream());
}

#[test]
fn the_stream_has_ended_behind_the_last_frame_of_a_body_that_was_read_to_its_end() {
    let mut ahead = any(script([Data("ab"), Trailers("t")]));
    assert_eq!(poll(&mut ahead), Poll::Ready(Outcome::Whole));
    let mut body = pin!(ahead.into_body());
    for _ in 0..2 {
        assert!(!body.is_end_stream());
        let _ = poll_frame(body.as_mut());
    }
    assert!(body.is_end_stream());
    assert!(matches!(poll_frame(body.as_mut()), Poll::Ready(None)));
}

// ===== bounds =====

#[test]
fn a_body_of_exactly_the_bound_is_whole() {
    let mut ahead = ReadAhead::to_judge(script([Data("abc"), Data("de"), Trailers("t")]), Reading::Any, up_to(5));
    assert_eq!(poll(&mut ahead), Poll::Ready(Outcome::Whole));
    assert_eq!(&*ahead.bytes(), b"abcde");
}

#[test]
fn the_frame_that_crosses_the_bound_is_kept_and_nothing_is_read_behind_it() {
    let body = script([Data("abc"), Data("def"), Data("g"), Trailers("t")]);
    let polls = Arc::clone(&body.polls);
    let mut ahead = ReadAhead::to_judge(body, Reading::Any, up_to(5));
    assert_eq!(poll(&mut ahead), Poll::Ready(Outcome::Partial));
    assert_eq!(polls.load(Ordering::Relaxed), 2);
    assert_eq!(everything(ahead.into_body()), [Data("abc"), Data("def"), Data("g"), Trailers("t")]);
}

#[test]
fn frames_without_data_are_bounded_too() {
    let mut ahead = ReadAhead::to_judge(script([const { Data("") }; 100]), Reading::Any, up_to(8));
    assert_eq!(poll(&mut ahead), Poll::Ready(Outcome::Partial));
    assert_eq!(everything(ahead.into_body()).len(), 100);
}

#[test]
fn judging_and_draining_stop_behind_64_kib() {
    for (length, outcome) in [(65_536, Outcome::Whole), (65_537, Outcome::Partial)] {
        let body = || Full::new(Bytes::from(vec![b'{'; length]));
        assert_eq!(
            poll(&mut ReadAhead::to_judge(body(), Reading::Object, ReadLimit::default())),
            Poll::Ready(outcome),
            "{length}"
        );
        assert_eq!(poll(&mut ReadAhead::to_drain(body(), ReadLimit::default())), Poll::Ready(outcome), "{length}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_makes_its_reader_wait_is_given_up_after_one_second_and_not_before() {
    let mut ahead = ReadAhead::to_drain(script([Data("ab"), Never]), ReadLimit::default());
    assert_eq!(poll(&mut ahead), Poll::Pending);
    tokio::time::advance(Duration::from_millis(999)).await;
    assert_eq!(poll(&mut ahead), Poll::Pending);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(poll(&mut ahead), Poll::Ready(Outcome::Partial));
    assert_eq!(everything(ahead.into_body()), [Data("ab"), Never]);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_wakes_the_reader() {
    let mut ahead = any(script([Never]));
    assert_eq!(poll_fn(|cx| ahead.poll(cx)).await, Outcome::Partial);
}

#[tokio::test(start_paused = true)]
async fn the_body_wakes_the_reader() {
    let mut ahead = any(script([Later, Data("ab"), Later, Data("c"), Later]));
    assert_eq!(poll_fn(|cx| ahead.poll(cx)).await, Outcome::Whole);
    assert_eq!(&*ahead.bytes(), b"abc");
}

#[tokio::test(start_paused = true)]
async fn frames_that_drip_in_do_not_put_off_the_deadline() {
    let mut ahead = any(script([Data("a"), Later, Data("b"), Later, Data("c"), Later, Data("d")]));
    for _ in 0..2 {
        assert_eq!(poll(&mut ahead), Poll::Pending);
        tokio::time::advance(Duration::from_millis(600)).await;
    }
    assert_eq!(poll(&mut ahead), Poll::Ready(Outcome::Partial));
    assert_eq!(everything(ahead.into_body()), [Data("a"), Data("b"), Data("c"), Data("d")]);
}

#[test]
fn off_the_runtime_a_body_that_makes_its_reader_wait_is_given_up_at_once() {
    let mut ahead = any(script([Data("ab"), Later, Data("c")]));
    assert_eq!(poll(&mut ahead), Poll::Ready(Outcome::Partial));
    assert_eq!(everything(ahead.into_body()), [Data("ab"), Data("c")]);
}

#[test]
fn an_outcome_stays_and_nothing_more_is_read() {
    let body = script([Data("ab"), Later, Data("c")]);
    let polls = Arc::clone(&body.polls);
    let mut ahead = any(body);
    for _ in 0..3 {
        assert_eq!(poll(&mut ahead), Poll::Ready(Outcome::Partial));
    }
    assert_eq!(polls.load(Ordering::Relaxed), 2);
}

// ===== objects =====

#[test]
fn an_untyped_body_is_read_on_only_while_it_may_be_an_object() {
    for (steps, outcome) in [
        (vec![Data("{}")], Outcome::Whole),
        (vec![Data(" \t"), Data(""), Data("\r\n{\"a\""), Data(":1}")], Outcome::Whole),
        (vec![Data("{"), Data("[")], Outcome::Whole),
        (vec![Data("  ")], Outcome::Whole),
        (vec![], Outcome::Whole),
        (vec![Data("[{}]")], Outcome::Partial),
        (vec![Data(" "), Data("\n"), Data("data: {}")], Outcome::Partial),
        (vec![Data("\u{feff}{}")], Outcome::Partial),
    ] {
        let mut ahead = ReadAhead::to_judge(with_steps(&steps), Reading::Object, ReadLimit::default());
        assert_eq!(poll(&mut ahead), Poll::Ready(outcome), "{steps:?}");
        assert_eq!(everything(ahead.into_body()), steps);
    }
}

#[test]
fn nothing_is_read_behind_the_first_character_of_a_body_that_is_no_object() {
    let body = script([Data(" "), Data("<html>"), Data("a")]);
    let polls = Arc::clone(&body.polls);
    assert_eq!(
        poll(&mut ReadAhead::to_judge(body, Reading::Object, ReadLimit::default())),
        Poll::Ready(Outcome::Partial)
    );
    assert_eq!(polls.load(Ordering::Relaxed), 2);
}

#[test]
fn the_judge_borrows_a_single_frame_and_gets_several_joined() {
    let read = |steps: &[Step]| {
        let mut ahead = any(with_steps(steps));
        assert_eq!(poll(&mut ahead), Poll::Ready(Outcome::Whole));
        ahead
    };
    assert!(matches!(read(&[]).bytes(), Cow::Borrowed(b"")));
    assert!(matches!(read(&[Data("ab"), Trailers("t")]).bytes(), Cow::Borrowed(b"ab")));
    assert_eq!(&*read(&[Data("ab"), Data(""), Data("c"), Data("de"), Trailers("t")]).bytes(), b"abcde");
}

// ===== the type =====

#[test]
fn a_body_that_nobody_looked_into_is_one_word_larger_at_most() {
    assert!(size_of::<InspectBody<Full<Bytes>>>() <= size_of::<Full<Bytes>>() + size_of::<usize>());
    assert!(size_of::<InspectBody<Script>>() <= size_of::<Script>() + size_of::<usize>());
}

#[test]
fn debug_says_how_much_was_read_ahead_and_shows_no_byte_of_it() {
    assert_eq!(format!("{:?}", InspectBody::untouched(script([Data("secret")]))), "InspectBody { read_ahead: 0, .. }");
    let mut ahead = any(script([Data("secret"), Trailers("secret"), Fail("secret")]));
    assert_eq!(poll(&mut ahead), Poll::Ready(Outcome::Partial));
    assert_eq!(format!("{:?}", ahead.into_body()), "InspectBody { read_ahead: 6, .. }");
}

#[test]
fn the_default_is_the_inner_default() {
    assert!(InspectBody::<Full<Bytes>>::default().is_end_stream());
}

#[test]
fn send_sync_and_unpin_follow_the_inner_body() {
    /// Two candidates where `$bound` holds, so that naming the method without saying which fails to compile.
    macro_rules! assert_not {
        ($type:ty: $bound:ident) => {{
            trait Ambiguous<A> {
                fn here() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            impl<T: ?Sized + $bound> Ambiguous<u8> for T {}
            <$type as Ambiguous<_>>::here();
        }};
    }
    fn assert_all<T: Send + Sync + Unpin + 'static>() {}
    fn assert_send_sync<T: Send + Sync>() {}
    assert_all::<InspectBody<Full<Bytes>>>();
    assert_send_sync::<InspectBody<Script>>();
    assert_not!(InspectBody<Script>: Unpin);
    assert_not!(InspectBody<Local>: Send);
    assert_not!(InspectBody<Local>: Sync);
}
