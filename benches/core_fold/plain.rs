//! The plainest loops over arrays that count the same: the bound that memory sets.

use std::{hint::black_box, time::Duration};

use sortie_benches::ThreadTime;

use crate::Orders;

const IDLE: u8 = 0;
const STARTED: u8 = 1;
const REPORTED: u8 = 2;
const SUCCEEDED: u8 = 3;

/// An event of a plain campaign: target and kind. A log would need its time, too.
#[derive(Clone, Copy)]
struct Event {
    target: u32,
    _at: u32,
    kind: u8,
}

/// Two bytes a target and four counters. No timers, claims, reasons, versions, limits or retries.
struct Plain {
    status: Vec<u8>,
    words: Vec<u8>,
    counts: [u64; 4],
}

impl Plain {
    fn new(targets: u32) -> Self {
        Self {
            status: vec![IDLE; targets as usize],
            words: vec![0; targets as usize],
            counts: [u64::from(targets), 0, 0, 0],
        }
    }

    fn apply(&mut self, event: Event) {
        let target = event.target as usize;
        if event.kind == REPORTED {
            self.words[target] += 1;
        } else {
            self.counts[usize::from(self.status[target])] -= 1;
            self.status[target] = event.kind;
            self.counts[usize::from(event.kind)] += 1;
        }
    }
}

/// A set of ready targets, each one decided, logged and applied; then three words of each in these
/// orders. Answers the time that it took, and that of applying the log once more.
pub(crate) fn run(orders: &Orders) -> (Duration, Duration) {
    let targets = u32::try_from(orders[0].len()).expect("few");
    let mut plain = Plain::new(targets);
    let mut ready = vec![u64::MAX; orders[0].len().div_ceil(64)];
    let mut log = Vec::with_capacity(4 * orders[0].len());
    let begin = ThreadTime::now();
    for (n, word) in (0..).zip(&mut ready) {
        while *word != 0 {
            let target = n * 64 + word.trailing_zeros();
            *word &= *word - 1;
            if target < targets {
                plain.decide(target, STARTED, &mut log);
            }
        }
    }
    for (order, kind) in orders.iter().zip([REPORTED, REPORTED, SUCCEEDED]) {
        for target in order {
            plain.decide(*target, kind, &mut log);
        }
    }
    let cycle = begin.elapsed();
    assert_eq!(plain.counts, [0, 0, 0, u64::from(targets)], "it ended");
    let mut plain = Plain::new(targets);
    let begin = ThreadTime::now();
    for event in &log {
        plain.apply(*event);
    }
    let fold = begin.elapsed();
    black_box((&plain.status, &plain.words, plain.counts));
    (cycle, fold)
}

impl Plain {
    fn decide(&mut self, target: u32, kind: u8, log: &mut Vec<Event>) {
        let status = self.status[target as usize];
        let legal = match kind {
            STARTED => status == IDLE,
            _ => status == STARTED,
        };
        if legal {
            let event = Event {
                target,
                _at: 1,
                kind,
            };
            log.push(event);
            self.apply(event);
        }
    }
}
