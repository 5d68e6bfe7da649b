use std::{
    panic::resume_unwind,
    pin::pin,
    task::{Context, Poll, Waker},
};

use super::{NoResult, blocking};

#[tokio::test]
async fn blocking_work_hands_back_its_result() {
    assert_eq!(blocking(|| 7).await, Ok(7));
}

#[tokio::test]
async fn blocking_work_that_panics_has_no_result() {
    assert_eq!(blocking(|| resume_unwind(Box::new("on purpose"))).await, Err::<(), _>(NoResult::Panicked));
}

#[test]
fn without_a_runtime_blocking_work_is_not_begun() {
    let mut work = pin!(blocking(|| unreachable!("it was begun")));
    let polled = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Ready(Err::<(), _>(NoResult::NoRuntime)));
}

#[test]
fn blocking_work_for_a_runtime_that_shuts_down_is_not_begun() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let handle = runtime.handle().clone();
    drop(runtime);
    let _entered = handle.enter();
    let mut work = pin!(blocking(|| unreachable!("it was begun")));
    let polled = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Ready(Err::<(), _>(NoResult::ShutDown)));
}
