//! Whether a store keeps the promises that sessions build on, shown by what its handles see of one another.

mod bench;
mod drops;
mod holders;
mod leases;
mod samples;
mod saves;
mod wakes;

use std::time::Duration;

use super::report::{self, NonConformance, Report};
use crate::store::TokenStore;
use bench::Bench;

/// Checks a [`TokenStore`] from all sides: what it keeps, who may write to it, whom it wakes, and what is left when a call is
/// dropped.
///
/// ```
/// use std::time::Duration;
/// use tower_auth_refresh::{store::MemoryStore, test_util::store_conformance};
///
/// // In a test: #[tokio::test]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = MemoryStore::new();
/// store_conformance(|| store.clone(), Duration::from_secs(10)).await.unwrap();
/// # }
/// ```
///
/// `open` makes handles to **one** store, each as another process would open it: its own file, its own connection. The store
/// is a fresh one in which nothing is; a store in which something is fails the first check, and is left as it is. It is
/// full of token sets afterwards, all of them made up.
///
/// `within` is how long anything may take: a call, a wake-up, and the end of a lease that nobody gives back. It is generous,
/// since only what goes wrong takes that long, and longer than a lease [lasts](crate::store::Lease::lasts). Where leases end
/// by themselves, some checks wait for that: give the store short ones, such as one second.
///
/// What is stored has numbers up to `u64::MAX`. [`TokenStore`] says how a database keeps them, and has a whole store to start from.
///
/// It runs on a tokio runtime of either flavor that has its timer. Its clock may be paused only for a store that waits by
/// that clock alone.
///
/// # Checks
/// Each stands for a law of `docs/contract.md`. *In time* means within `within`.
///
/// | law | check | how |
/// |---|---|---|
/// | C47 | a fresh store holds nothing | at two handles: else nothing else is checked |
/// | C49 | nothing is saved where something was expected | a save that expects a version, where nothing is stored |
/// | C47 | what is saved comes back whole at every handle | every member that there is, a token of 16 KiB, a sign-out, a refused login |
/// | C49 | a save that expects another state changes nothing | another generation, another fencing token, none, and nothing at all |
/// | C50 | clearing compares first | likewise |
/// | C49 | a sign-out leaves a tombstone with its number | and a save that expects nothing is a conflict |
/// | C48 | one at a time holds the lease | the holder's handle asks, another asks, eight ask at once |
/// | C48 | a lease that is given back can be taken at once | at another handle |
/// | C49 | a lease that is dropped ends by itself | in time |
/// | C48 | a lease that is renewed holds | for one and a half times what it lasts, where it ends by itself |
/// | C49 | fencing tokens grow | whichever handle asks, whether anything was saved or not |
/// | C49 | a fencing token is larger than any that a session has seen | far above what the store has drawn, and so are the next ones |
/// | C49 | an old holder cannot overwrite what a newer one wrote | nor clear it, whatever it expects |
/// | C49 | an old holder may save while nobody else has | where leases end by themselves |
/// | C49 | an old holder gives back no lease but its own | released or dropped |
/// | C49 | an old holder cannot renew its lease | it is [`Lost`](crate::store::StoreErrorKind::Lost) |
/// | C48 | a save wakes who waits at another handle | in time |
/// | C48 | a lease that is given back wakes who was refused it at another handle | in time |
/// | C48 | a change before the first poll is not missed | what counts is when `changed` was called |
/// | C48 | who waits is not woken all the time | of eight waits while nothing changes, one at least is pending |
/// | C40 | a call that is dropped leaves the store whole | each call in turn, before its first poll and at its first eight await points: what is stored was saved by somebody, and the next holder comes in time and can save |
///
/// # Errors
/// When a check fails. The error says which, what was expected and what came. A check that does not apply fails nothing:
/// the [`Report`] lists it, and why.
pub async fn store_conformance<S: TokenStore>(
    open: impl Fn() -> S + Send + Sync,
    within: Duration,
) -> Result<Report, NonConformance> {
    let bench = Bench::new(&open, within);
    let mut report = Report::default();
    saves::check_fresh(&bench, &mut report).await;
    if report.failed().next().is_some() {
        return report.conclude();
    }
    saves::check(&bench, &mut report).await;
    leases::check(&bench, &mut report).await;
    holders::check(&bench, &mut report).await;
    wakes::check(&bench, &mut report).await;
    drops::check(&bench, &mut report).await;
    report.conclude()
}
