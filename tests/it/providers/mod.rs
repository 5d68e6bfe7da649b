//! What each provider puts on the wire, and what it makes of every answer, byte for byte.

#[cfg(feature = "accuat")]
mod accuat;
#[cfg(feature = "fashion-world")]
mod fashion_world;
#[cfg(feature = "kanfang")]
mod kanfang;
#[cfg(feature = "quectel")]
mod quectel;
#[cfg(any(feature = "accuat", feature = "kanfang"))]
mod support;
