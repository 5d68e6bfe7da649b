//! `[policy]`: when to refresh, how often to try.

use std::time::Duration;

use tower_auth_refresh::session::{InvalidPolicy, RefreshPolicy};

use super::{BadConfig, section::Section, value};

const KEYS: [&str; 8] = [
    "soft_margin",
    "hard_margin",
    "flight_deadline",
    "backoff_min",
    "backoff_max",
    "guard_window",
    "guard_flights",
    "replays",
];

/// The library's defaults, for whoever sets but one of two values that belong together.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
const GUARD: (usize, Duration) = (5, Duration::from_secs(30));

pub(super) fn read(mut section: Section) -> Result<RefreshPolicy, BadConfig> {
    section.only(None, &KEYS)?;
    let mut policy = RefreshPolicy::new();
    let bad = |section: &Section, key: &str, error: InvalidPolicy| section.bad(key, error.to_string());
    for (key, set) in [
        ("soft_margin", RefreshPolicy::soft_margin as fn(RefreshPolicy, Duration) -> Result<RefreshPolicy, _>),
        ("hard_margin", RefreshPolicy::hard_margin),
        ("flight_deadline", RefreshPolicy::flight_deadline),
    ] {
        if let Some(time) = section.take(key, value::duration)? {
            policy = set(policy, time).map_err(|error| bad(&section, key, error))?;
        }
    }

    let (first, longest) =
        (section.take("backoff_min", value::duration)?, section.take("backoff_max", value::duration)?);
    // Each by itself, so that the error names the one that is wrong.
    for (key, time) in [("backoff_min", first), ("backoff_max", longest)] {
        if let Some(time) = time {
            RefreshPolicy::new().backoff(time, time).map_err(|error| bad(&section, key, error))?;
        }
    }
    let key = if first.is_some() { "backoff_min" } else { "backoff_max" };
    policy = policy
        .backoff(first.unwrap_or(BACKOFF.0), longest.unwrap_or(BACKOFF.1))
        .map_err(|error| bad(&section, key, error))?;

    let flights = section.take("guard_flights", value::count(10_000))?.unwrap_or(GUARD.0);
    let window = section.take("guard_window", value::duration)?.unwrap_or(GUARD.1);
    policy = policy.guard(flights, window).map_err(|error| bad(&section, "guard_window", error))?;

    if let Some(replays) = section.take("replays", value::count(u8::MAX.into()))? {
        policy = policy.replays(replays);
    }
    Ok(policy)
}
