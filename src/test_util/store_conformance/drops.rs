//! What is left when a call is dropped where it waits.

use super::{
    bench::{Bench, Handle, Holder, ends_before},
    report::{Finding, Outcome, Report},
    samples,
};
use crate::{store::TokenStore, token::Stored};

pub(super) async fn check<S: TokenStore>(bench: &Bench<'_, S>, report: &mut Report) {
    report.record("a call that is dropped leaves the store whole", "C40", dropped(bench).await);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Load,
    TryLease,
    Changed,
    Renew,
    Save,
    Clear,
    Release,
}

const CALLS: [(&str, Call); 7] = [
    ("load", Call::Load),
    ("try_lease", Call::TryLease),
    ("changed", Call::Changed),
    ("renew", Call::Renew),
    ("save", Call::Save),
    ("clear", Call::Clear),
    ("release", Call::Release),
];

/// Await points of one call, counted from 1; at 0 it is dropped before its first poll.
const POINTS: usize = 8;

async fn dropped<S: TokenStore>(bench: &Bench<'_, S>) -> Finding {
    for (name, call) in CALLS {
        for point in 0..=POINTS {
            match dropped_at(bench, call, point).await {
                Ok(has_ended) if has_ended || (call == Call::Changed && point == 1) => break,
                Ok(_) => {}
                Err(Outcome::Failed { expected, came }) => {
                    return Err(Outcome::failed(expected, format!("{came}, {name} dropped at await point {point}")));
                }
                Err(outcome) => return Err(outcome),
            }
        }
    }
    Ok(())
}

/// Whether the call has ended before it came to that point.
async fn dropped_at<S: TokenStore>(bench: &Bench<'_, S>, call: Call, point: usize) -> Result<bool, Outcome> {
    let (one, other) = (bench.open(), bench.open());
    let holder = one.lease().await?;
    let before = bench.token_set(&holder);
    holder.put(&one, &before).await?;
    let attempted = match call {
        Call::Clear => bench.signed_out(&holder),
        _ => bench.token_set(&holder),
    };
    if call == Call::TryLease {
        holder.release().await?;
    }
    let making = call.make(&one, &holder, &before, &attempted, point);
    let has_ended = bench.in_time("an answer", making).await?;

    let came = other.load().await?;
    let came = came.ok_or_else(|| Outcome::failed("what somebody has saved", "nothing is stored"))?;
    let is_attempted = call.saves() && samples::same_stored("", &attempted, &came).is_ok();
    if !is_attempted {
        samples::same_stored("what somebody has saved", &before, &came)?;
    }

    holder.release().await?;
    let next = other.lease().await?;
    let after = bench.token_set(&next);
    next.put(&other, &after).await?;
    one.holds("what the next holder has saved", &after).await?;
    next.release().await?;
    Ok(has_ended)
}

// ===== impl Call =====

impl Call {
    fn saves(self) -> bool {
        matches!(self, Self::Save | Self::Clear)
    }

    /// Whether it has ended before it came to that point, where it is dropped.
    async fn make<S: TokenStore>(
        self,
        handle: &Handle<S>,
        holder: &Holder,
        before: &Stored,
        attempted: &Stored,
        point: usize,
    ) -> bool {
        let (store, lease, expected) = (&handle.store, &holder.lease, Some(before.version()));
        match self {
            Self::Load => ends_before(point, &mut store.load()).await,
            Self::TryLease => ends_before(point, &mut store.try_lease(None)).await,
            Self::Changed => ends_before(point, &mut store.changed()).await,
            Self::Renew => ends_before(point, &mut lease.renew()).await,
            Self::Save => ends_before(point, &mut lease.save(expected, attempted)).await,
            Self::Clear => ends_before(point, &mut lease.clear(expected, attempted)).await,
            Self::Release => ends_before(point, &mut lease.release()).await,
        }
    }
}
