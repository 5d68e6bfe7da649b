//! What is stored, and what a save or a sign-out makes of it.

use super::{
    bench::{Bench, Handle, Holder},
    report::{Finding, Outcome, Report, same},
    samples,
};
use crate::{
    store::{Swap, TokenStore},
    token::{FencingToken, Generation, Stored, Version},
};

pub(super) async fn check_fresh<S: TokenStore>(bench: &Bench<'_, S>, report: &mut Report) {
    report.record("a fresh store holds nothing", "C47", fresh(bench).await);
}

pub(super) async fn check<S: TokenStore>(bench: &Bench<'_, S>, report: &mut Report) {
    report.record("nothing is saved where something was expected", "C49", unexpected(bench).await);
    report.record("what is saved comes back whole at every handle", "C47", whole(bench).await);
    report.record("a save that expects another state changes nothing", "C49", compares(bench, Call::Save).await);
    report.record("clearing compares first", "C50", compares(bench, Call::Clear).await);
    report.record("a sign-out leaves a tombstone with its number", "C49", tombstone(bench).await);
}

/// The two calls that change what is stored.
#[derive(Clone, Copy)]
enum Call {
    Save,
    Clear,
}

async fn fresh<S: TokenStore>(bench: &Bench<'_, S>) -> Finding {
    for handle in [bench.open(), bench.open()] {
        // What is there may be somebody's: nothing of it is shown.
        if handle.load().await?.is_some() {
            return Err(Outcome::failed("nothing", "something is stored"));
        }
    }
    Ok(())
}

async fn unexpected<S: TokenStore>(bench: &Bench<'_, S>) -> Finding {
    let handle = bench.open();
    let holder = handle.lease().await?;
    let stored = bench.token_set(&holder);
    let came = holder.save(Some(stored.version()), &stored).await?;
    same("a save that expects something:", Swap::Conflict, came)?;
    same("something is stored:", false, handle.load().await?.is_some())?;
    holder.release().await
}

async fn whole<S: TokenStore>(bench: &Bench<'_, S>) -> Finding {
    let (one, other) = (bench.open(), bench.open());
    let holder = one.lease().await?;
    let mut expected = one.load().await?.map(|stored| stored.version());
    for stored in samples::all(holder.fence()) {
        same("a save that expects what is stored:", Swap::Done, holder.save(expected, &stored).await?)?;
        for handle in [&one, &other, &bench.open()] {
            handle.holds("what was saved", &stored).await?;
        }
        expected = Some(stored.version());
    }
    holder.release().await
}

async fn compares<S: TokenStore>(bench: &Bench<'_, S>, call: Call) -> Finding {
    let (one, other) = (bench.open(), bench.open());
    let holder = one.lease().await?;
    // Numbers that are one and the same as floating point.
    let number = Generation::from(u64::MAX - 1);
    for stored in [samples::token_set(number, holder.fence()), samples::signed_out(number, holder.fence())] {
        holder.put(&one, &stored).await?;
        for expected in others(stored.version()) {
            let came = call.make(bench, &holder, expected).await?;
            same("where another state was expected:", Swap::Conflict, came)?;
            unchanged(&other, &stored).await?;
        }
        let came = call.make(bench, &holder, Some(stored.version())).await?;
        same("where this state was expected:", Swap::Done, came)?;
    }
    holder.release().await
}

async fn tombstone<S: TokenStore>(bench: &Bench<'_, S>) -> Finding {
    let (one, other) = (bench.open(), bench.open());
    let stored = bench.stored_at(&one).await?;
    let holder = one.lease().await?;
    let tombstone = bench.signed_out(&holder);
    same("a sign-out:", Swap::Done, holder.clear(Some(stored.version()), &tombstone).await?)?;
    for handle in [&one, &other, &bench.open()] {
        handle.holds("a tombstone", &tombstone).await?;
    }
    same("a save that expects nothing:", Swap::Conflict, holder.save(None, &stored).await?)?;
    unchanged(&other, &tombstone).await?;
    holder.release().await
}

async fn unchanged<S: TokenStore>(handle: &Handle<S>, stored: &Stored) -> Finding {
    handle.holds("what was stored before", stored).await
}

/// What is near to a version, and is not it.
fn others(version: Version) -> [Option<Version>; 7] {
    let Version { generation, fence, revision } = version;
    let number = generation.get();
    let with = |number: u64| Some(Version { generation: number.into(), fence, revision });
    let by = |fence: Option<FencingToken>| Some(Version { generation, fence, revision });
    let fences = fence.map(|fence| [fence.get().wrapping_add(1), fence.get().wrapping_sub(1)].map(FencingToken::from));
    let [larger, smaller] = fences.map_or([None, None], |fences| fences.map(Some));
    let later = Some(Version { revision: revision.wrapping_add(1), ..version });
    [None, with(number.wrapping_add(1)), with(number.wrapping_sub(1)), by(larger), by(smaller), by(None), later]
}

// ===== impl Call =====

impl Call {
    async fn make<S: TokenStore>(
        self,
        bench: &Bench<'_, S>,
        holder: &Holder,
        expected: Option<Version>,
    ) -> Result<Swap, Outcome> {
        match self {
            Self::Save => holder.save(expected, &bench.token_set(holder)).await,
            Self::Clear => holder.clear(expected, &bench.signed_out(holder)).await,
        }
    }
}
