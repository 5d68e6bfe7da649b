//! What each provider puts on the wire, and what it makes of every answer.

#[cfg(feature = "accuat")]
mod accuat;
#[cfg(feature = "kanfang")]
mod kanfang;
#[cfg(any(feature = "accuat", feature = "kanfang"))]
mod support;
