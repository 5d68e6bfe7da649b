//! What a holder can do whose lease is another's by now.

use super::{
    bench::{Bench, Handle, Holder},
    leases,
    report::{Finding, Outcome, Report, same},
};
use crate::store::{StoreErrorKind, Swap, TokenStore};

pub(super) async fn check<S: TokenStore>(bench: &Bench<'_, S>, report: &mut Report) {
    report.record("an old holder cannot overwrite what a newer one wrote", "C49", overwrites(bench).await);
    report.record("an old holder may save while nobody else has", "C49", saves(bench).await);
    report.record("an old holder gives back no lease but its own", "C49", gives_back(bench).await);
    report.record("an old holder cannot renew its lease", "C49", renews(bench).await);
}

async fn overwrites<S: TokenStore>(bench: &Bench<'_, S>) -> Finding {
    let (one, other) = (bench.open(), bench.open());
    let before = bench.stored_at(&one).await?;
    let (old, new) = take_over(bench, &one, &other).await?;
    let written = bench.token_set(&new);
    new.put(&other, &written).await?;
    for expected in [Some(before.version()), Some(written.version()), None] {
        let (token_set, tombstone) = (bench.token_set(&old), bench.signed_out(&old));
        // It may also say that the lease is lost.
        let saved = bench.in_time("an answer of save", old.lease.save(expected, &token_set)).await?;
        let cleared = bench.in_time("an answer of clear", old.lease.clear(expected, &tombstone)).await?;
        for came in [saved, cleared] {
            if matches!(came, Ok(Swap::Done)) {
                return Err(Outcome::failed("a conflict", "a save by the old holder"));
            }
        }
        other.holds("what the newer holder wrote", &written).await?;
    }
    new.release().await
}

async fn saves<S: TokenStore>(bench: &Bench<'_, S>) -> Finding {
    let (one, other) = (bench.open(), bench.open());
    let before = bench.stored_at(&one).await?;
    let (old, new) = take_over(bench, &one, &other).await?;
    if old.lease.lasts().is_none() {
        new.release().await?;
        return Err(Outcome::NotApplicable("because its leases do not end by themselves"));
    }
    let late = bench.token_set(&old);
    same("a late save:", Swap::Done, old.save(Some(before.version()), &late).await?)?;
    other.holds("what the old holder wrote", &late).await?;
    let newer = bench.token_set(&new);
    same("a save that has not seen it:", Swap::Conflict, new.save(Some(before.version()), &newer).await?)?;
    same("a save that has seen it:", Swap::Done, new.save(Some(late.version()), &newer).await?)?;
    new.release().await
}

async fn gives_back<S: TokenStore>(bench: &Bench<'_, S>) -> Finding {
    let (one, other) = (bench.open(), bench.open());
    let (old, new) = take_over(bench, &one, &other).await?;
    old.release().await?;
    leases::is_held(&one).await?;
    drop(old);
    leases::is_held(&one).await?;
    new.release().await
}

async fn renews<S: TokenStore>(bench: &Bench<'_, S>) -> Finding {
    let (one, other) = (bench.open(), bench.open());
    let (old, new) = take_over(bench, &one, &other).await?;
    let came = bench.in_time("an answer of renew", old.lease.renew()).await?;
    same("a renewal by the old holder:", Err(StoreErrorKind::Lost), came.map_err(|error| error.kind()))?;
    new.release().await
}

/// An old holder, and the one that holds the lease now. The old one has let its time pass, or has given it back where it
/// would hold for ever.
async fn take_over<S: TokenStore>(
    bench: &Bench<'_, S>,
    one: &Handle<S>,
    other: &Handle<S>,
) -> Result<(Holder, Holder), Outcome> {
    let old = one.lease().await?;
    match old.lease.lasts() {
        None => old.release().await?,
        Some(lasts) if lasts < bench.within() => {}
        Some(lasts) => {
            let expected = format!("leases that end within {:?}", bench.within());
            return Err(Outcome::failed(expected, format!("one of {lasts:?}")));
        }
    }
    let new = other.lease().await?;
    Ok((old, new))
}
