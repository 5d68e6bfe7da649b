//! When a token set ends, and by which clock.

use std::time::{Duration, SystemTime};

use super::{
    answers::granted,
    grants::NOTHING_GRANTED,
    json::Number,
    report::{Finding, Outcome, none},
    subject::{Read, Subject},
};
use crate::{
    provider::Provider,
    token::{Expiry, TokenSet},
};

/// All times of a token set.
pub(super) fn of(set: &TokenSet) -> [Option<SystemTime>; 4] {
    [set.expiry().time(), set.issued_at(), set.refresh_at(), set.refresh_expires_at()]
}

pub(super) fn ends<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let Some(lifetime) = subject.samples.lifetime else {
        return Err(Outcome::NotApplicable("because the samples do not say how long their tokens live"));
    };
    subject.granted().ok_or(NOTHING_GRANTED)?;
    subject.sets().try_for_each(|set| {
        let came = match set.expiry() {
            Expiry::At(end) => match end.duration_since(subject.samples.at) {
                Ok(after) if after == lifetime => return Ok(()),
                Ok(after) => format!("one after {} s", after.as_secs_f64()),
                Err(_) => String::from("one before it"),
            },
            none => format!("{none:?}"),
        };
        Err(Outcome::failed(format!("an end {} s after the samples' time", lifetime.as_secs_f64()), came))
    })
}

/// Each time stays, as the answer names it; or it moves with the context's, as the answer counts from it.
pub(super) fn moves<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    const PASSED: Duration = Duration::from_secs(7);
    subject.granted().ok_or(NOTHING_GRANTED)?;
    let later = subject.samples.at.checked_add(PASSED).unwrap_or(subject.samples.at);
    for (kind, sample, set) in granted(subject) {
        let Read::Granted(other) = subject.parse_at(later, kind, sample.clone()) else {
            return Err(Outcome::failed("a token set 7 s after the samples' time as well", "none"));
        };
        for (one, other) in of(set).into_iter().zip(of(&other)) {
            if one != other && one.and_then(|one| one.checked_add(PASSED)) != other {
                return Err(Outcome::failed("times that stay, or move with the context's", "others"));
            }
        }
    }
    Ok(())
}

/// A number that decides a time, made odd: the answer is not granted, or that time is not known. A time that is too far
/// away may be brought nearer, but not before the sample's.
pub(super) fn odd<P: Provider>(subject: &Subject<'_, P>) -> Finding {
    let (mut found, mut decides, before) = (Vec::new(), false, subject.panics());
    for (kind, sample, set) in granted(subject) {
        let text = String::from_utf8_lossy(sample.body());
        for number in Number::all(&text) {
            let read = |other: &str| match subject.parse(kind, sample.clone().map(|_| number.replaced(other).into())) {
                Read::Granted(set) => Some(of(&set)),
                Read::Failed(_) | Read::Nothing => None,
            };
            let near: Vec<_> = number.neighbours().filter_map(|neighbour| read(&neighbour)).collect();
            for odd in ["-1", "18446744073709551615", "1e30", "\"x\"", "null"] {
                let Some(times) = read(odd) else { continue };
                for (at, (whole, came)) in of(set).into_iter().zip(times).enumerate() {
                    let is_decided = near.iter().any(|near| near.get(at).is_some_and(|near| *near != whole));
                    let is_sane = match odd {
                        "null" => true,
                        "-1" | "\"x\"" => came.is_none(),
                        _ => came.is_none() || came >= whole,
                    };
                    if is_decided && !is_sane {
                        found.push(format!("{kind:?} granted with a time of {odd}"));
                    }
                }
            }
            decides |= near.iter().any(|near| *near != of(set));
        }
    }
    if subject.panics() > before {
        found.push(String::from("a panic"));
    }
    if !decides && found.is_empty() {
        return Err(Outcome::NotApplicable("because no number of a sample decides a time"));
    }
    none("no such time", found)
}
