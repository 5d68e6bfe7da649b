//! What each provider speaks, byte for byte.

#[cfg(feature = "fashion-world")]
mod fashion_world;
#[cfg(feature = "quectel")]
mod quectel;
