//! What must happen in one step, as scripts that the server runs: nobody comes in between.

use std::sync::LazyLock;

use redis::Script;

/// Takes the lease and draws its fencing token, or says for how long it is held.
pub(super) static LEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/lease.lua")));
/// Lets the lease last from now on.
pub(super) static RENEW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/renew.lua")));
/// Gives the lease back.
pub(super) static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/release.lua")));
/// Replaces what is stored, if it is what is expected.
pub(super) static SAVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/save.lua")));
