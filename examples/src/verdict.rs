//! Whether what the log says is what the devices run.

use crate::log::{Ledger, Standing};

/// What a device really runs, read from its flash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// The version in its active slot; none if what is there is not whole, or unknown.
    pub runs: Option<String>,
    /// What it came with.
    pub factory: String,
}

/// Whether a device's flash agrees with what the log says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agreement {
    /// It does.
    Agrees,
    /// The log never had the device's word, or had it late, so it does not say what runs.
    Apart(String),
    /// It does not: a bug of sortie's.
    Contradicts(String),
}

/// Compares what the log says of a device with what it runs, in a campaign for version `new`.
pub fn judge(standing: &Standing, truth: &Truth, new: &str) -> Agreement {
    let Some(runs) = truth.runs.as_deref() else {
        return Agreement::Contradicts("its active slot does not hold a whole image".into());
    };
    let expect = |right: bool| {
        if right {
            Agreement::Agrees
        } else {
            Agreement::Contradicts(format!("it runs {runs}"))
        }
    };
    match standing {
        Standing::Successful { .. } => expect(runs == new),
        Standing::Failed {
            abandoned, late, ..
        } if *abandoned || *late => {
            let word = if *late {
                "its word came late"
            } else {
                "without its word"
            };
            Agreement::Apart(format!("{word}; it runs {runs}"))
        }
        Standing::Failed { .. } => expect(runs != new && runs == truth.factory),
        // A campaign that failed leaves these as they were.
        Standing::Idle => expect(runs == truth.factory),
        Standing::InProgress => {
            Agreement::Contradicts(format!("it is still in progress, and runs {runs}"))
        }
    }
}

/// What is wrong with a finished campaign, by its own log: with its outcome by its threshold (F1, in
/// hundredths of a percent), and with its limit (P2).
pub fn faults_of(ledger: &Ledger, threshold_hundredths: u32, limit: u32) -> Vec<String> {
    let mut faults = ledger.contradictions.clone();
    let all = ledger.targets.len() as u64;
    let standings = || ledger.targets.values();
    // Nobody cancels in the examples, so each failure counts.
    let failed = standings()
        .filter(|s| matches!(s, Standing::Failed { .. }))
        .count() as u64;
    let exceeded = failed * 10_000 > u64::from(threshold_hundredths) * all;
    match ledger.outcome {
        Some("success") if exceeded => {
            faults.push(format!("success, although {failed} of {all} failed"));
        }
        Some("success") => {
            let idle = standings().filter(|s| **s == Standing::Idle).count();
            if idle > 0 {
                faults.push(format!("success, although {idle} targets are idle"));
            }
        }
        Some("failure") if exceeded => {}
        Some("failure") => faults.push(format!("failure, although only {failed} of {all} failed")),
        Some(other) => faults.push(format!("{other}, which nobody asked for")),
        None => faults.push("the campaign has no outcome".into()),
    }
    if ledger.most_in_progress > limit as usize {
        faults.push(format!(
            "{} operations were in progress at once, and {limit} is the limit",
            ledger.most_in_progress
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(runs: &str) -> Truth {
        Truth {
            runs: Some(runs.into()),
            factory: "1.3.0".into(),
        }
    }

    fn failed(abandoned: bool, late: bool) -> Standing {
        Standing::Failed {
            reason: "x".into(),
            abandoned,
            late,
        }
    }

    fn successful() -> Standing {
        Standing::Successful { reason: "x".into() }
    }

    #[test]
    fn a_successful_device_runs_the_new_version_and_a_failed_one_what_it_had() {
        for (standing, runs, agrees) in [
            (successful(), "1.4.0", true),
            (successful(), "1.3.0", false),
            (failed(false, false), "1.3.0", true),
            (failed(false, false), "1.4.0", false),
            (failed(false, false), "1.2.0", false),
            (Standing::Idle, "1.3.0", true),
            (Standing::Idle, "1.4.0", false),
            (Standing::InProgress, "1.3.0", false),
        ] {
            let found = judge(&standing, &truth(runs), "1.4.0");
            assert_eq!(found == Agreement::Agrees, agrees, "{standing:?} {runs}");
            assert!(!matches!(found, Agreement::Apart(_)), "{standing:?} {runs}");
        }
    }

    #[test]
    fn what_was_abandoned_or_late_stands_apart_whatever_it_runs() {
        for runs in ["1.3.0", "1.4.0"] {
            for (abandoned, late) in [(true, false), (true, true)] {
                let found = judge(&failed(abandoned, late), &truth(runs), "1.4.0");
                assert!(matches!(found, Agreement::Apart(why) if why.contains(runs)));
            }
        }
    }

    #[test]
    fn a_slot_that_is_not_whole_contradicts_everything() {
        let broken = Truth {
            runs: None,
            factory: "1.3.0".into(),
        };
        for standing in [successful(), failed(true, false), Standing::Idle] {
            assert!(matches!(
                judge(&standing, &broken, "1.4.0"),
                Agreement::Contradicts(_)
            ));
        }
    }

    fn ledger(outcome: &'static str, failed_of_ten: usize) -> Ledger {
        let standing = |n| {
            if n < failed_of_ten {
                failed(false, false)
            } else {
                successful()
            }
        };
        Ledger {
            targets: (0..10).map(|n| (n.to_string(), standing(n))).collect(),
            outcome: Some(outcome),
            most_in_progress: 3,
            ..Ledger::default()
        }
    }

    #[test]
    fn an_outcome_must_follow_from_the_threshold() {
        // 20 %: two of ten are within it, three exceed it.
        for (outcome, failed, right) in [
            ("success", 2, true),
            ("success", 3, false),
            ("failure", 3, true),
            ("failure", 2, false),
            ("cancelled", 0, false),
        ] {
            let faults = faults_of(&ledger(outcome, failed), 2_000, 3);
            assert_eq!(faults.is_empty(), right, "{outcome} {failed}: {faults:?}");
        }
    }

    #[test]
    fn success_with_idle_targets_and_a_limit_that_was_exceeded_are_faults() {
        let mut ledger = ledger("success", 0);
        assert_eq!(faults_of(&ledger, 2_000, 2).len(), 1);
        ledger.targets.insert("x".into(), Standing::Idle);
        assert_eq!(faults_of(&ledger, 2_000, 2).len(), 2);
        ledger.outcome = None;
        assert_eq!(
            faults_of(&ledger, 2_000, 3),
            ["the campaign has no outcome"]
        );
    }
}
