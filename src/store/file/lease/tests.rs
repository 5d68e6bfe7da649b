use std::time::{Duration, UNIX_EPOCH};

use super::{FencingToken, SystemTime, next};

const NOW: u64 = 1_750_000_000_000;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(NOW)
}

fn known(numbers: [u64; 3]) -> [Option<FencingToken>; 3] {
    numbers.map(|number| Some(FencingToken::from(number)))
}

#[test]
fn the_next_number_is_one_above_the_largest_wherever_that_is() {
    let large = NOW + 5;
    for numbers in [[large, 1, 2], [2, large, 1], [1, 2, large]] {
        assert_eq!(next(known(numbers), now()), Some(FencingToken::from(large + 1)));
    }
    assert_eq!(next(known([3, 1, 2]), now()), Some(FencingToken::from(NOW + 1)));
    assert_eq!(next([None; 3], now()), Some(FencingToken::from(NOW + 1)));
}

#[test]
fn a_clock_before_1970_is_at_zero() {
    assert_eq!(next([None; 3], UNIX_EPOCH - Duration::from_secs(1)), Some(FencingToken::from(1)));
}

#[test]
fn above_the_largest_number_there_is_none() {
    assert_eq!(next(known([u64::MAX, 1, 1]), now()), None);
}
