//! Who holds the lease, for how long, and by which number.

use super::{
    bench::{Bench, Handle, all, pause},
    report::{Finding, Outcome, Report, same},
};
use crate::{store::TokenStore, token::FencingToken};

pub(super) async fn check<S: TokenStore>(bench: &Bench<'_, S>, report: &mut Report) {
    report.record("one at a time holds the lease", "C48", exclusive(bench).await);
    report.record("a lease that is given back can be taken at once", "C48", released(bench).await);
    report.record("a lease that is dropped ends by itself", "C49", dropped(bench).await);
    report.record("a lease that is renewed holds", "C48", renewed(bench).await);
    report.record("fencing tokens grow", "C49", grow(bench).await);
    report.record("a fencing token is larger than any that a session has seen", "C49", above(bench).await);
}

async fn exclusive<S: TokenStore>(bench: &Bench<'_, S>) -> Finding {
    let one = bench.open();
    let holder = one.lease().await?;
    for handle in [&one, &bench.open()] {
        is_held(handle).await?;
    }
    holder.release().await?;

    let handles: Vec<_> = (0..8).map(|_| bench.open()).collect();
    let mut holders = Vec::new();
    for asked in all(handles.iter().map(|handle| handle.try_lease(None))).await {
        holders.extend(asked?);
    }
    let held = holders.len();
    for holder in holders {
        holder.release().await?;
    }
    same("leases of eight who ask at once:", 1, held)
}

async fn released<S: TokenStore>(bench: &Bench<'_, S>) -> Finding {
    let (one, other) = (bench.open(), bench.open());
    // Kept to the end, so that it is the release that frees it.
    let before = one.lease().await?;
    before.release().await?;
    let next = other.try_lease(None).await?.ok_or_else(|| Outcome::failed("a lease", "none"))?;
    next.release().await
}

async fn dropped<S: TokenStore>(bench: &Bench<'_, S>) -> Finding {
    let (one, other) = (bench.open(), bench.open());
    drop(one.lease().await?);
    other.lease().await?.release().await
}

async fn renewed<S: TokenStore>(bench: &Bench<'_, S>) -> Finding {
    let (one, other) = (bench.open(), bench.open());
    let holder = one.lease().await?;
    holder.renew().await?;
    if let Some(lasts) = holder.lease.lasts() {
        // As a session does, for half as long again as it would hold by itself.
        for _ in 0..5 {
            pause(lasts.mul_f64(0.3)).await;
            is_held(&other).await?;
            holder.renew().await?;
        }
    }
    is_held(&other).await?;
    holder.release().await
}

async fn grow<S: TokenStore>(bench: &Bench<'_, S>) -> Finding {
    let handles = [bench.open(), bench.open()];
    let mut largest = None;
    for round in 0..4 {
        for handle in handles.iter().chain([&bench.open()]) {
            let holder = handle.lease().await?;
            larger(holder.fence(), largest)?;
            largest = Some(holder.fence());
            if round % 2 == 0 {
                holder.put(handle, &bench.token_set(&holder)).await?;
            }
            holder.release().await?;
        }
    }
    Ok(())
}

async fn above<S: TokenStore>(bench: &Bench<'_, S>) -> Finding {
    let (one, other) = (bench.open(), bench.open());
    let holder = one.lease().await?;
    let mut seen = FencingToken::from(holder.fence().get().saturating_add(1_000_000));
    holder.release().await?;
    for (handle, above) in [(&one, Some(seen)), (&other, None), (&bench.open(), None)] {
        let holder = handle.try_lease(above).await?.ok_or_else(|| Outcome::failed("a lease", "none"))?;
        larger(holder.fence(), Some(seen))?;
        seen = holder.fence();
        holder.release().await?;
    }
    Ok(())
}

fn larger(fence: FencingToken, than: Option<FencingToken>) -> Finding {
    if Some(fence) > than {
        return Ok(());
    }
    Err(Outcome::failed(
        format!("a fencing token larger than {}", than.map_or(0, FencingToken::get)),
        fence.to_string(),
    ))
}

/// Passes where another holds the lease.
pub(super) async fn is_held<S: TokenStore>(handle: &Handle<S>) -> Finding {
    match handle.try_lease(None).await? {
        None => Ok(()),
        Some(second) => {
            second.release().await?;
            Err(Outcome::failed("one lease", "a second one beside it"))
        }
    }
}
