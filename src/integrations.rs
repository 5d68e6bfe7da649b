//! Adapters to other people's clients and servers, each behind a feature of its own.

#[cfg(feature = "tonic")]
#[cfg_attr(docsrs, doc(cfg(feature = "tonic")))]
pub mod tonic;
