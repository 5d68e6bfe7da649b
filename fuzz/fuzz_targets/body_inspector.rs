#![no_main]
//! A body that is looked into: the caller gets what an untouched one would have given, and the bounds hold.

use std::{
    future::poll_fn,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
};

use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};
use tower_auth_refresh::fuzzing::{Inspector, untouched};
use tower_auth_refresh_fuzz::{
    body::{Hint, Script, Step, left, read, steps},
    byte,
};

const BOUND: usize = 64 * 1024;

thread_local! {
    static RUNTIME: Runtime =
        Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime without I/O");
}

// The first byte picks the reading, the second one how often it is polled; the rest is the body.
fuzz_target!(|data: &[u8]| {
    let mut data = data;
    let (mode, polls) = (byte(&mut data), byte(&mut data));
    let hint = [Hint::Exact, Hint::AtLeast, Hint::Nothing, Hint::Wrong][usize::from(mode >> 2 & 3)];
    let steps = steps(data);
    let visible = visible(&steps);

    let plain = read(untouched(Script::new(&steps, hint)));
    assert!(plain.iter().map(|shown| &shown.step).eq(&visible), "untouched, and not the same");

    let script = Script::new(&steps, hint);
    let taken = Arc::clone(&script.taken);
    let is_object = mode & 3 == 1;
    let mut inspector = match mode & 3 {
        0 | 1 => Inspector::to_judge(script, is_object),
        _ => Inspector::to_drain(script),
    };
    let outcome = poll(&mut inspector, usize::from(polls), mode & 16 == 0);

    let count = taken.load(Ordering::Relaxed);
    let bytes = inspector.bytes().into_owned();
    check_bounds(&steps, count, &bytes);
    if outcome == Some(true) {
        assert_eq!(count, steps.len() + 1, "whole, and not read to its end");
        assert!(steps.iter().all(|step| !matches!(step, Step::Fail(_) | Step::Never)), "whole, and broken");
        assert!(bytes.len() <= BOUND, "whole, and larger than the bound");
        let first = bytes.iter().copied().find(|byte| !b" \t\r\n".contains(byte));
        assert!(!is_object || first.is_none_or(|first| first == b'{'), "read on in what is no object");
    }
    // Once it has an outcome it reads no further.
    if outcome.is_some() {
        assert_eq!(poll(&mut inspector, 2, true), outcome);
        assert_eq!(taken.load(Ordering::Relaxed), count);
    }

    let seen = read(inspector.into_body());
    assert!(seen.iter().map(|shown| &shown.step).eq(&visible), "the caller sees something else");
    // Behind a step that takes for ever there may be more, which counts as well.
    let mut left = left(&steps);
    for shown in seen {
        assert!(!shown.is_end_stream, "ended before {:?}", shown.step);
        match hint {
            Hint::Exact => assert_eq!(shown.hint.exact(), Some(left)),
            Hint::AtLeast | Hint::Nothing => {
                assert!(shown.hint.lower() <= left, "promises more than there is");
                assert_eq!(shown.hint.upper(), None, "says more than the body itself");
            }
            Hint::Wrong => {}
        }
        left -= shown.step.len();
    }
});

/// What is not visible is only that a reader had to wait; behind a step that takes for ever nothing is.
fn visible(steps: &[Step]) -> Vec<Step> {
    let end = steps.iter().position(|step| *step == Step::Never).map_or(steps.len(), |place| place + 1);
    steps[..end].iter().filter(|step| **step != Step::Later).cloned().collect()
}

/// Polls up to so many times, with a timer or without.
fn poll(inspector: &mut Inspector<Script>, polls: usize, timer: bool) -> Option<bool> {
    if !timer {
        let mut cx = Context::from_waker(Waker::noop());
        return match inspector.poll(&mut cx) {
            Poll::Ready(whole) => Some(whole),
            Poll::Pending => panic!("waits where nothing wakes it"),
        };
    }
    let mut left = polls;
    RUNTIME.with(|runtime| {
        runtime.block_on(poll_fn(|cx| match (inspector.poll(cx), left.checked_sub(1)) {
            (Poll::Ready(whole), _) => Poll::Ready(Some(whole)),
            (Poll::Pending, None) => Poll::Ready(None),
            (Poll::Pending, Some(fewer)) => {
                left = fewer;
                Poll::Pending
            }
        }))
    })
}

/// Nothing is read behind the frame that crosses the bound, and what is kept is what was read.
fn check_bounds(steps: &[Step], taken: usize, bytes: &[u8]) {
    let mut read = Vec::new();
    let mut frames = 0;
    for step in steps.iter().take(taken) {
        match step {
            Step::Fail(_) | Step::Never => break,
            Step::Later => continue,
            Step::Data(_) | Step::Trailers(_) => assert!(read.len() <= BOUND && frames <= BOUND, "read too far"),
        }
        frames += 1;
        if let Step::Data(data) = step {
            read.extend_from_slice(data);
        }
    }
    assert_eq!(read, bytes);
}
