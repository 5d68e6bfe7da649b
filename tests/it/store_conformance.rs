//! The conformance checks of stores: those of this crate pass them, and each flawed one fails the check that is about its
//! flaw.

mod flawed;

use std::time::Duration;

use tower_auth_refresh::{
    store::{MemoryStore, TokenStore},
    test_util::{NonConformance, Outcome, Report, store_conformance},
    token::{ExposeSecret, SecretString},
};

use flawed::{Flaw, Flaw::*, Shared};

const WITHIN: Duration = Duration::from_secs(60);

#[allow(clippy::disallowed_methods, reason = "the test compares what is stored")]
fn exposed(secret: &SecretString) -> String {
    secret.expose_secret().to_owned()
}

/// The names of the checks that do not apply, each with its reason.
fn left_out(report: &Report) -> Vec<(&'static str, &'static str)> {
    let reason = |outcome: &Outcome| match outcome {
        Outcome::NotApplicable(reason) => Some(*reason),
        _ => None,
    };
    report.checks().filter_map(|check| Some((check.name(), reason(check.outcome())?))).collect()
}

async fn check(flaw: Flaw, lasts: Option<Duration>) -> Result<Report, NonConformance> {
    let shared = Shared::new(flaw, lasts);
    store_conformance(|| shared.open(), WITHIN).await
}

/// The names of the checks that a store with this flaw fails.
async fn failed(flaw: Flaw, lasts: Option<Duration>) -> Vec<&'static str> {
    check(flaw, lasts).await.unwrap_err().report().failed().collect()
}

/// How long a lease lasts that ends by itself.
const SHORT: Option<Duration> = Some(Duration::from_secs(3));

/// Of one that ends when it is released or dropped.
const UNTIL_RELEASED: Option<Duration> = None;

// ===== stores without a flaw =====

const NO_OLD_HOLDERS: (&str, &str) =
    ("an old holder may save while nobody else has", "because its leases do not end by themselves");

#[tokio::test]
async fn the_memory_store_conforms() {
    let store = MemoryStore::new();
    let report = store_conformance(|| store.clone(), WITHIN).await.unwrap();
    assert_eq!(left_out(&report), [NO_OLD_HOLDERS]);
}

#[tokio::test]
async fn a_store_that_is_chosen_at_run_time_conforms() {
    let store = MemoryStore::new();
    let open = || Box::new(store.clone()) as Box<dyn TokenStore>;
    let report = store_conformance(open, WITHIN).await.unwrap();
    assert_eq!(left_out(&report), [NO_OLD_HOLDERS]);
}

#[tokio::test(start_paused = true)]
async fn a_store_whose_leases_end_by_themselves_conforms() {
    let report = check(Sound, SHORT).await.unwrap();
    assert_eq!(left_out(&report), []);
}

#[tokio::test(start_paused = true)]
async fn a_store_whose_leases_are_held_until_they_are_released_conforms() {
    let report = check(Sound, UNTIL_RELEASED).await.unwrap();
    assert_eq!(left_out(&report), [NO_OLD_HOLDERS]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::disallowed_methods, reason = "the checks run on a thread of their own")]
async fn the_checks_can_be_spawned_on_many_threads() {
    let store = MemoryStore::new();
    let report = tokio::task::spawn(store_conformance(move || store.clone(), WITHIN)).await.unwrap().unwrap();
    assert_eq!(left_out(&report), [NO_OLD_HOLDERS]);
}

// ===== what a report says =====

#[tokio::test(start_paused = true)]
async fn each_check_stands_in_the_documentation_with_its_law() {
    let documentation = include_str!("../../src/test_util/store_conformance.rs");
    let report = check(Sound, SHORT).await.unwrap();
    let missing: Vec<_> = report
        .checks()
        .map(|check| format!("| {} | {} |", check.law(), check.name()))
        .filter(|row| !documentation.contains(row))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
    assert_eq!(report.checks().count(), documentation.matches("/// | C").count());
}

#[tokio::test(start_paused = true)]
async fn a_store_in_which_something_is_fails_the_first_check_and_is_left_as_it_is() {
    let shared = Shared::new(HoldsSomethingAtFirst, SHORT);
    let failure = store_conformance(|| shared.open(), WITHIN).await.unwrap_err();
    assert_eq!(
        failure.to_string(),
        "1 checks failed\n- C47 a fresh store holds nothing: expected nothing, came something is stored"
    );
    assert_eq!(failure.report().checks().count(), 1);
    assert_eq!(shared.access_token().as_deref(), Some("S3CR3T"));
}

#[tokio::test(start_paused = true)]
async fn a_report_shows_the_errors_of_the_store() {
    let failure = check(FailsToLoad, SHORT).await.unwrap_err().to_string();
    assert!(
        failure.ends_with("expected no error of load, came Unavailable: cannot reach the flawed store"),
        "{failure}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_ends_is_given_up() {
    let failure = check(NeverAnswersALoad, SHORT).await.unwrap_err().to_string();
    assert!(failure.ends_with("expected an answer of load within 60s, came none"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_report_names_the_members_that_are_lost_and_none_of_their_values() {
    let failure = check(DropsExtra, SHORT).await.unwrap_err().to_string();
    let members =
        "expires_at_ms, extra, issued_at_ms, refresh_at_ms, refresh_expires_at_ms, refresh_token, signing_key";
    assert!(failure.ends_with(&format!("expected what was saved, came another {members}")), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_report_names_the_call_that_does_harm_when_it_is_dropped_and_where() {
    let failure = check(TearsWhatIsStored, SHORT).await.unwrap_err().to_string();
    assert!(failure.ends_with("came nothing is stored, save dropped at await point 2"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn leases_that_last_for_longer_than_anything_may_take_are_told() {
    let failure = check(Sound, Some(WITHIN)).await.unwrap_err().to_string();
    assert!(failure.contains("expected leases that end within 60s, came one of 60s"), "{failure}");
}

#[test]
fn a_runtime_that_has_no_timer_is_told() {
    let store = MemoryStore::new();
    let without = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let failure = without.block_on(store_conformance(move || store.clone(), WITHIN)).unwrap_err().to_string();
    assert!(failure.ends_with("expected a runtime with a timer, came none"), "{failure}");
}

// ===== stores with a flaw =====

macro_rules! fails {
    ($($test:ident: $flaw:expr, $lasts:expr => [$($name:literal),* $(,)?];)+) => {$(
        #[tokio::test(start_paused = true)]
        async fn $test() {
            let expected: &[&str] = &[$($name),*];
            assert_eq!(failed($flaw, $lasts).await, expected);
        }
    )+};
}

fails! {
    an_extra_that_is_dropped_is_found: DropsExtra, SHORT => ["what is saved comes back whole at every handle"];
    a_refused_login_that_is_dropped_is_found: DropsTheRefusedLogin, SHORT => ["what is saved comes back whole at every handle"];
    a_token_that_is_cut_is_found: CutsLongTokens, SHORT => ["what is saved comes back whole at every handle"];
    a_handle_that_reads_its_own_copy_is_found: ReadsItsOwnCopy, SHORT => [
        "what is saved comes back whole at every handle",
        "a save that expects another state changes nothing",
        "clearing compares first",
        "a sign-out leaves a tombstone with its number",
        "fencing tokens grow",
        "an old holder cannot overwrite what a newer one wrote",
        "a call that is dropped leaves the store whole",
    ];
    a_save_that_compares_nothing_is_found: SavesWhateverIsExpected, SHORT => [
        "nothing is saved where something was expected",
        "a save that expects another state changes nothing",
        "clearing compares first",
        "a sign-out leaves a tombstone with its number",
        "an old holder may save while nobody else has",
    ];
    a_save_that_is_told_as_a_conflict_is_found: SavesInAConflict, SHORT => [
        "nothing is saved where something was expected",
        "a save that expects another state changes nothing",
        "clearing compares first",
        "a sign-out leaves a tombstone with its number",
        "an old holder cannot overwrite what a newer one wrote",
        "an old holder may save while nobody else has",
    ];
    a_save_where_nothing_is_is_found: SavesWhereNothingIs, SHORT => ["nothing is saved where something was expected"];
    a_save_that_takes_nothing_for_anything_is_found: SavesWhereNothingWasExpected, SHORT => [
        "a save that expects another state changes nothing",
        "clearing compares first",
        "a sign-out leaves a tombstone with its number",
    ];
    generations_that_are_not_compared_are_found: ComparesNoGenerations, SHORT => [
        "a save that expects another state changes nothing",
        "clearing compares first",
    ];
    generations_that_are_compared_as_floats_are_found: ComparesGenerationsAsFloats, SHORT => [
        "a save that expects another state changes nothing",
        "clearing compares first",
    ];
    fencing_tokens_that_are_not_compared_are_found: ComparesNoFences, SHORT => [
        "a save that expects another state changes nothing",
        "clearing compares first",
    ];
    a_sign_out_that_compares_nothing_is_found: ClearsWhateverIsExpected, SHORT => ["clearing compares first"];
    a_sign_out_that_leaves_nothing_is_found: ForgetsSignOuts, SHORT => [
        "what is saved comes back whole at every handle",
        "a save that expects another state changes nothing",
        "clearing compares first",
        "a sign-out leaves a tombstone with its number",
        "a call that is dropped leaves the store whole",
    ];
    a_sign_out_that_loses_the_number_is_found: NumbersSignOutsAnew, SHORT => [
        "what is saved comes back whole at every handle",
        "a save that expects another state changes nothing",
        "clearing compares first",
        "a sign-out leaves a tombstone with its number",
        "a call that is dropped leaves the store whole",
    ];
    leases_for_all_are_found: LeasesToAll, SHORT => [
        "one at a time holds the lease",
        "a lease that is renewed holds",
        "an old holder gives back no lease but its own",
    ];
    a_lease_for_each_handle_is_found: LeasesOncePerHandle, SHORT => [
        "one at a time holds the lease",
        "a lease that is renewed holds",
        "a fencing token is larger than any that a session has seen",
    ];
    a_lease_that_is_looked_at_first_and_taken_then_is_found: ChecksThenTakes, SHORT => ["one at a time holds the lease"];
    a_release_that_does_nothing_is_found: KeepsWhatIsReleased, SHORT => [
        "one at a time holds the lease",
        "a lease that is given back can be taken at once",
        "a fencing token is larger than any that a session has seen",
        "a lease that is given back wakes who was refused it at another handle",
    ];
    a_dropped_lease_that_does_not_end_is_found: KeepsWhatIsDroppedForTooLong, UNTIL_RELEASED => [
        "a lease that is dropped ends by itself",
        "a call that is dropped leaves the store whole",
    ];
    a_fencing_token_that_comes_twice_is_found: RepeatsFences, SHORT => [
        "fencing tokens grow",
        "a fencing token is larger than any that a session has seen",
        "an old holder cannot overwrite what a newer one wrote",
        "an old holder gives back no lease but its own",
        "an old holder cannot renew its lease",
    ];
    fencing_tokens_of_each_handle_are_found: CountsFencesPerHandle, SHORT => [
        "fencing tokens grow",
        "a fencing token is larger than any that a session has seen",
        "an old holder cannot overwrite what a newer one wrote",
        "an old holder may save while nobody else has",
        "an old holder gives back no lease but its own",
        "an old holder cannot renew its lease",
        "a save wakes who waits at another handle",
        "a change before the first poll is not missed",
        "a call that is dropped leaves the store whole",
    ];
    a_fencing_token_that_counts_saves_only_is_found: DrawsFromWhatIsStored, SHORT => [
        "fencing tokens grow",
        "a fencing token is larger than any that a session has seen",
        "an old holder cannot overwrite what a newer one wrote",
        "an old holder gives back no lease but its own",
        "an old holder cannot renew its lease",
    ];
    a_fencing_token_below_what_was_seen_is_found: IgnoresWhatASessionHasSeen, SHORT => ["a fencing token is larger than any that a session has seen"];
    a_fencing_token_that_falls_back_is_found: ForgetsWhatASessionHasSeen, SHORT => ["a fencing token is larger than any that a session has seen"];
    a_save_by_an_old_holder_is_found: LetsOldHoldersSave, SHORT => ["an old holder cannot overwrite what a newer one wrote"];
    a_sign_out_by_an_old_holder_is_found: LetsOldHoldersClear, SHORT => ["an old holder cannot overwrite what a newer one wrote"];
    a_save_by_an_old_holder_that_has_stayed_alone_is_not_to_be_lost: StopsOldHolders, SHORT => ["an old holder may save while nobody else has"];
    a_save_by_an_old_holder_is_found_where_leases_are_released: LetsOldHoldersSave, UNTIL_RELEASED => ["an old holder cannot overwrite what a newer one wrote"];
    a_release_of_anothers_lease_is_found: ReleasesForOthers, SHORT => ["an old holder gives back no lease but its own"];
    a_release_of_anothers_lease_by_a_drop_is_found: DropsForOthers, UNTIL_RELEASED => ["an old holder gives back no lease but its own"];
    a_renewal_that_does_nothing_is_found: RenewsNothing, SHORT => ["a lease that is renewed holds"];
    a_renewal_of_anothers_lease_is_found: RenewsForOthers, SHORT => ["an old holder cannot renew its lease"];
    a_renewal_of_a_released_lease_is_found: RenewsForOthers, UNTIL_RELEASED => ["an old holder cannot renew its lease"];
    a_wake_up_that_never_comes_is_found: NeverWakes, SHORT => [
        "a save wakes who waits at another handle",
        "a lease that is given back wakes who was refused it at another handle",
        "a change before the first poll is not missed",
    ];
    a_release_that_wakes_nobody_is_found: WakesOnSavesOnly, SHORT => ["a lease that is given back wakes who was refused it at another handle"];
    a_save_that_wakes_nobody_is_found: WakesOnReleasesOnly, SHORT => [
        "a save wakes who waits at another handle",
        "a change before the first poll is not missed",
    ];
    a_wait_that_begins_with_its_first_poll_is_found: WaitsFromTheFirstPoll, SHORT => ["a change before the first poll is not missed"];
    wake_ups_without_end_are_found: WakesAllTheTime, SHORT => ["who waits is not woken all the time"];
    half_a_save_is_found: TearsWhatIsStored, SHORT => ["a call that is dropped leaves the store whole"];
    a_lease_that_is_lost_on_its_way_is_found: LosesLeases, UNTIL_RELEASED => ["a call that is dropped leaves the store whole"];
    a_lease_that_is_taken_before_the_first_poll_is_found: LosesLeasesBeforeTheFirstPoll, UNTIL_RELEASED => ["a call that is dropped leaves the store whole"];
}
