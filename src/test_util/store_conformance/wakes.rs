//! Who is woken, and by what.

use super::{
    bench::Bench,
    report::{Finding, Outcome, Report},
};
use crate::store::TokenStore;

pub(super) async fn check<S: TokenStore>(bench: &Bench<'_, S>, report: &mut Report) {
    report.record("a save wakes who waits at another handle", "C48", save(bench).await);
    report.record("a lease that is given back wakes who was refused it at another handle", "C48", release(bench).await);
    report.record("a change before the first poll is not missed", "C48", unpolled(bench).await);
    report.record("who waits is not woken all the time", "C48", quiet(bench).await);
}

async fn save<S: TokenStore>(bench: &Bench<'_, S>) -> Finding {
    let (waiter, writer) = (bench.open(), bench.open());
    let holder = writer.lease().await?;
    let changed = waiter.waiting().await;
    holder.put(&writer, &bench.token_set(&holder)).await?;
    if let Some(changed) = changed {
        bench.in_time("a wake-up after a save", changed).await?;
    }
    holder.release().await
}

async fn release<S: TokenStore>(bench: &Bench<'_, S>) -> Finding {
    let (waiter, writer) = (bench.open(), bench.open());
    let holder = writer.lease().await?;
    // Who was never refused a lease need not learn of its end. (A second lease is what other checks find.)
    waiter.load().await?;
    let is_refused = waiter.try_lease(None).await?.is_none();
    let changed = waiter.waiting().await;
    holder.release().await?;
    match changed.filter(|_| is_refused) {
        Some(changed) => bench.in_time("a wake-up after a release", changed).await,
        None => Ok(()),
    }
}

async fn unpolled<S: TokenStore>(bench: &Bench<'_, S>) -> Finding {
    let (waiter, writer) = (bench.open(), bench.open());
    let holder = writer.lease().await?;
    let changed = waiter.store.changed();
    holder.put(&writer, &bench.token_set(&holder)).await?;
    bench.in_time("a wake-up after a save that came before the first poll", changed).await?;
    holder.release().await
}

async fn quiet<S: TokenStore>(bench: &Bench<'_, S>) -> Finding {
    match bench.open().waiting().await {
        Some(_) => Ok(()),
        None => Err(Outcome::failed("a wait while nothing changes", "eight wake-ups at once")),
    }
}
