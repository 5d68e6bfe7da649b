//! The providers that this crate brings, one file each.

#[cfg(feature = "accuat")]
mod accuat;
#[cfg(feature = "kanfang")]
mod kanfang;
#[cfg_attr(
    not(all(feature = "accuat", feature = "fashion-world", feature = "kanfang", feature = "quectel")),
    allow(dead_code, reason = "each provider needs another part of it")
)]
mod wire;

#[cfg(feature = "accuat")]
pub use accuat::{Accuat, BodyFormat, Language};
#[cfg(feature = "kanfang")]
pub use kanfang::{Kanfang, Place, RefreshWith};
