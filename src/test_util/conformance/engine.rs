//! The provider in a session, between two servers that answer as the samples do.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
    time::Duration,
};

use super::{
    report::{Finding, Outcome, Report, same},
    scene::{A_YEAR, Answered, Scene, begin, one},
    subject::Subject,
    template::Template,
    verdicts,
};
use crate::{
    provider::{GrantKind, Provider, Reason},
    session::Condition,
    test_util::Fault,
};

use GrantKind::{Login, Refresh};

pub(super) async fn check<P: Provider>(subject: &Subject<'_, P>, report: &mut Report) {
    report.record("a hundred requests without a token share one login", "C1", guarded(first_token(subject)).await);
    report.record("no request waits for a token that is only due", "C8", guarded(soft(subject)).await);
    report.record(
        "an expired token is renewed once, and nothing is spent twice",
        "C16",
        guarded(expired(subject)).await,
    );
    report.record("a rejection makes one renewal and one replay", "C23", guarded(rejected(subject)).await);
    report.record("a caller who leaves takes no token with him", "C38", guarded(left(subject)).await);
    report.record("a refresh token whose answer was lost gives way to a login", "C51", guarded(lost(subject)).await);
    report.record("a Retry-After is waited for", "C19", guarded(retry_after(subject)).await);
    report.record("what was refused is not asked for again", "C17", guarded(refused(subject)).await);
    report.record("a sign-out during a flight stays", "C42", guarded(signed_out(subject)).await);
    report.record("a malformed answer never replaces a good token", "C21", guarded(malformed(subject)).await);
}

/// A provider that panics on the request's own task, to judge or to sign, fails the check and nothing more.
async fn guarded(check: impl Future<Output = Finding> + Send) -> Finding {
    let mut check = pin!(check);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| check.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| Poll::Ready(Err(Outcome::failed("no panic", "a panic"))))
    })
    .await
}

async fn first_token<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    if !subject.can(Login) {
        return Err(NO_LOGIN);
    }
    let scene = Scene::new(subject)?;
    let well = scene.ask_all(100).await;
    same(
        "(answered well, logins and refreshes, rejected)",
        (100, (1, 0), 0),
        (well, scene.grants(), scene.api.counts().rejected),
    )
}

async fn soft<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let scene = Scene::signed_in(subject)?;
    let kind = scene.fall_due().await?;
    scene.api.take_previous_for(A_YEAR);
    scene.server.gate().hold();
    let well = scene.ask_all(10).await;
    scene.reached().await;
    let condition = scene.session.status().condition;
    scene.server.gate().release();
    same("(answered well, condition)", (10, Condition::Refreshing), (well, condition))?;
    scene.session.settled().await;
    let after = scene.ask("/after").await;
    same(
        "(the next answer, logins and refreshes, rejected)",
        (Answered::Well, one(kind), 0),
        (after, scene.grants(), scene.api.counts().rejected),
    )
}

async fn expired<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let scene = Scene::signed_in(subject)?;
    let kind = scene.expire().await?;
    let well = scene.ask_all(10).await;
    let double_spent = scene.server.counts().double_spent;
    same(
        "(answered well, logins and refreshes, rejected, double-spent)",
        (10, one(kind), 0, 0),
        (well, scene.grants(), scene.api.counts().rejected, double_spent),
    )
}

async fn rejected<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    verdicts::rejection(subject)?;
    let scene = Scene::signed_in(subject)?;
    let token = scene.token().await?;
    let kind = scene.session.provider().next_grant(Some(&token), Reason::Rejected, scene.clock.wall());
    let kind = kind.ok_or(Outcome::NotApplicable("because nothing renews a rejected token"))?;
    scene.server.end_access();
    let answer = scene.ask("/rejected").await;
    let counts = scene.api.counts();
    same(
        "(the answer, logins and refreshes, rejected, replays)",
        (Answered::Well, one(kind), 1, 1),
        (answer, scene.grants(), counts.rejected, counts.replays),
    )
}

async fn left<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let scene = Scene::signed_in(subject)?;
    let kind = scene.expire().await?;
    scene.server.gate().hold();
    let mut leaving = scene.ask("/leaving");
    begin(&mut leaving).await;
    scene.reached().await;
    drop(leaving);
    scene.server.gate().release();
    scene.session.settled().await;
    let next = scene.ask("/next").await;
    same(
        "(the next answer, logins and refreshes, rejected)",
        (Answered::Well, one(kind), 0),
        (next, scene.grants(), scene.api.counts().rejected),
    )
}

async fn lost<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    if !subject.can(Login) {
        return Err(NO_LOGIN);
    }
    if !subject.single_use() {
        return Err(Outcome::NotApplicable("because a refresh token may be used again"));
    }
    let scene = Scene::signed_in(subject)?;
    if scene.fall_due().await? == Login {
        return Err(NO_REFRESH);
    }
    scene.api.take_previous_for(A_YEAR);
    scene.server.fail([Fault::DropAfter]);
    let well = scene.ask_all(1).await;
    scene.session.settled().await;
    let well = well + scene.ask_all(1).await;
    scene.session.settled().await;
    let double_spent = scene.server.counts().double_spent;
    same("(answered well, logins and refreshes, double-spent)", (2, (1, 1), 0), (well, scene.grants(), double_spent))
}

async fn retry_after<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let scene = Scene::signed_in(subject)?;
    scene.fall_due().await?;
    scene.server.fail([Fault::TooManyRequests(Duration::from_secs(60))]);
    let mut calls = Vec::new();
    // The token may end meanwhile: what counts is what reaches the token endpoint.
    for wait in [0, 59, 1] {
        scene.clock.advance(Duration::from_secs(wait));
        scene.ask_all(1).await;
        scene.session.settled().await;
        calls.push(scene.server.counts().calls());
    }
    same("calls at once, after 59 s and after 60 s:", vec![1, 1, 2], calls)
}

async fn refused<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    if subject.samples.refused.is_none() {
        return Err(Outcome::NotApplicable("because there is no sample of a refusal"));
    }
    let (scene, kind) = if subject.can(Refresh) {
        let scene = Scene::signed_in(subject)?;
        let kind = scene.fall_due().await?;
        (scene, kind)
    } else {
        (Scene::new(subject)?, Login)
    };
    scene.server.refuse(kind);
    for _ in 0..3 {
        scene.ask_all(1).await;
        scene.session.settled().await;
    }
    let expected = match kind {
        Login => (1, 0),
        // Where it can log in, it does so in the same flight.
        Refresh => (usize::from(subject.can(Login)), 1),
    };
    same("logins and refreshes of three requests:", expected, scene.grants())
}

async fn signed_out<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let scene = Scene::signed_in(subject)?;
    let kind = scene.fall_due().await?;
    scene.api.take_previous_for(A_YEAR);
    scene.server.gate().hold();
    let well = scene.ask_all(1).await;
    scene.reached().await;
    scene.session.sign_out();
    scene.server.gate().release();
    scene.session.settled().await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let well = (well, scene.ask_all(1).await);
    same(
        "(answered well before and after, condition, logins and refreshes)",
        ((1, 0), Condition::SignedOut, one(kind)),
        (well, scene.session.status().condition, scene.grants()),
    )
}

async fn malformed<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    for fault in [Fault::Html, Fault::Truncate, Fault::BreakOff, Fault::ServerError] {
        let scene = Scene::signed_in(subject)?;
        let before = Template::tokens_of(&scene.token().await?);
        scene.fall_due().await?;
        scene.server.fail([fault]);
        // Starts the flight and hands out the old set.
        drop(scene.token().await?);
        scene.session.settled().await;
        let status = scene.session.status();
        if status.last_error.is_none() {
            return Err(Outcome::failed("a failed flight", format!("none after {fault:?}")));
        }
        if Template::tokens_of(&scene.token().await?) != before {
            return Err(Outcome::failed("the token set from before", format!("another one after {fault:?}")));
        }
    }
    Ok(())
}

const NO_LOGIN: Outcome = Outcome::NotApplicable("because there is no sample of a login");
const NO_REFRESH: Outcome = Outcome::NotApplicable("because a due token is not refreshed");
