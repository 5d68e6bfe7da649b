//! What has become of the requests of all processes.

use std::{collections::BTreeMap, time::Duration};

use fleet::Event;

/// Processes by their numbers, those that are gone with the others.
///
/// What a killed process says of its requests until its death counts. A request that its own death cuts off has not failed:
/// nobody is left that could miss the answer. Nor has it lacked a token any longer.
#[derive(Clone, Debug, Default)]
pub struct Tally(BTreeMap<usize, Requests>);

/// Those of one process, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    pub ok: u64,
    pub failed: u64,
    /// For how long there was no token.
    pub lacked: Duration,
    /// For how long at a time.
    pub longest: Duration,
    /// For how long there has been none when that was asked last, and has not come since.
    lacks: Duration,
}

impl Tally {
    pub fn note(&mut self, number: usize, event: &Event) {
        let of = self.0.entry(number).or_default();
        match event {
            Event::Failed(_) => of.failed += 1,
            Event::Lacked(time) => {
                (of.lacked, of.lacks) = (of.lacked + *time, Duration::ZERO);
                of.longest = of.longest.max(*time);
            }
            Event::Report(report) => {
                of.ok += report.ok;
                of.lacks = report.lacks;
                of.longest = of.longest.max(report.lacks);
            }
            _ => {}
        }
    }

    /// All requests, and the times of all processes one after the other.
    pub fn sum(&self) -> Requests {
        self.0.values().fold(Requests::default(), |sum, of| Requests {
            ok: sum.ok + of.ok,
            failed: sum.failed + of.failed,
            lacked: sum.lacked + of.lacked + of.lacks,
            longest: sum.longest.max(of.longest),
            lacks: Duration::ZERO,
        })
    }

    /// For how long that process lacked one which did so the longest.
    pub fn most(&self) -> Duration {
        self.0.values().map(|of| of.lacked + of.lacks).max().unwrap_or_default()
    }
}

#[test]
fn a_gap_counts_once_be_it_asked_for_or_over() {
    let mut tally = Tally::default();
    let [one, two, three] = [1, 2, 3].map(Duration::from_secs);
    tally.note(0, &Event::Report(fleet::Report { ok: 1, lacks: one }));
    tally.note(0, &Event::Failed("why".to_owned()));
    assert_eq!(tally.sum(), Requests { ok: 1, failed: 1, lacked: one, longest: one, lacks: Duration::ZERO });
    tally.note(0, &Event::Lacked(two));
    tally.note(0, &Event::Report(fleet::Report { ok: 2, lacks: Duration::ZERO }));
    tally.note(1, &Event::Lacked(one));
    assert_eq!(tally.sum(), Requests { ok: 3, failed: 1, lacked: three, longest: two, lacks: Duration::ZERO });
    assert_eq!(tally.most(), two);
}
