//! Sessions over a store: C40, C43, C44 and C46 to C52 as far as they need no second process.

mod attacks;
mod chance;
mod doubt;
mod fencing;
mod late;
mod order;
mod outage;
mod refusals;
mod sharing;
mod trouble;
