#![cfg_attr(doctest, doc = include_str!("../../../README.md"))]
//! The layer between real clients and real servers. The tests are in `tests/it`; the README's examples are compiled here,
//! where everything that they name is at hand.
