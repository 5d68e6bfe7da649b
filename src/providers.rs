//! The providers that this crate brings, one file each, each behind the feature of its name.

#[cfg(feature = "accuat")]
mod accuat;
#[cfg(feature = "fashion-world")]
mod fashion_world;
#[cfg(feature = "kanfang")]
mod kanfang;
#[cfg(feature = "quectel")]
mod quectel;
#[cfg(any(feature = "kanfang", feature = "fashion-world", feature = "quectel", feature = "accuat"))]
#[cfg_attr(
    not(all(feature = "kanfang", feature = "fashion-world", feature = "quectel", feature = "accuat")),
    allow(dead_code, reason = "each provider uses a part of it; with all of them nothing may be left over")
)]
mod wire;

#[cfg(feature = "accuat")]
pub use accuat::{Accuat, BodyFormat, Language};
#[cfg(feature = "fashion-world")]
pub use fashion_world::{Action, FashionWorld};
#[cfg(feature = "kanfang")]
pub use kanfang::{Kanfang, Place, RefreshWith};
#[cfg(feature = "quectel")]
pub use quectel::{Quectel, RefreshIn, UserDomain};
