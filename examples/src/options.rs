//! What the quickstart can be told.

use std::{fmt, path::PathBuf};

use clap::{Parser, ValueEnum, error::ErrorKind};
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// A fleet larger than this has its own machine, not a quickstart.
const DEVICES_MAX: u64 = 100_000;

/// Updates a simulated fleet over a real MQTT broker, and shows it.
///
/// Without --db everything begins anew. A run that was killed goes on when it is started again with
/// the same --db; one that has finished shows its result again.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "quickstart", version)]
pub struct Options {
    /// How many devices the fleet has [default: 200]
    #[arg(long, value_name = "N")]
    pub devices: Option<u64>,
    /// How many of them may be updating at once [default: 20]
    #[arg(long, value_name = "N")]
    pub max_in_progress: Option<u64>,
    /// When more than this share of the fleet has failed, the campaign fails [default: 30]
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    pub max_failure_percentage: Option<f64>,
    /// Rolls out this file, any file up to 64 MiB, instead of 64 KiB made from the seed
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    /// Uses this MQTT broker instead of one in the process, such as `mqtt://localhost:1883`
    #[arg(long, value_name = "URL")]
    pub broker: Option<String>,
    /// Keeps the event log here, and the devices' flash in PATH.flash/
    #[arg(long, value_name = "PATH")]
    pub db: Option<PathBuf>,
    /// What goes wrong on the devices [default: some]
    #[arg(long)]
    pub faults: Option<Faults>,
    /// Decides what each device is like and what befalls it [default: 1]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Installs the image on newer devices, too, and on those that are too old for it
    #[arg(long)]
    pub force_downgrade: bool,
    /// For tests: simulated times and the campaign's patience are four times shorter
    #[arg(long, hide = true)]
    pub hurry: bool,
}

/// How much goes wrong on the devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Faults {
    /// Nothing.
    None,
    /// Some lose power while they write or reboot, lose their connection, or reject the image.
    #[default]
    Some,
    /// Many do, several times; some have bad flash, some never come back.
    Harsh,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Some => "some",
            Self::Harsh => "harsh",
        })
    }
}

/// What a run does, all of it chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// How many devices there are.
    pub devices: u32,
    /// The campaign's limit (P2).
    pub max_in_progress: u32,
    /// The campaign's failure threshold (F1).
    pub max_failure_percentage: f64,
    /// What goes wrong.
    pub faults: Faults,
    /// What all chance follows from.
    pub seed: u64,
    /// The campaign's Force Downgrade.
    pub force_downgrade: bool,
    /// The image's file; none if it is made from the seed.
    pub image: Option<PathBuf>,
    /// Simulated times are shorter.
    pub hurry: bool,
}

impl Settings {
    /// The failure threshold in hundredths of a percent.
    pub fn max_failure_hundredths(&self) -> u32 {
        // From 0 to 100 with two decimals, which was checked.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most 10,000"
        )]
        let hundredths = (self.max_failure_percentage * 100.0).round() as u32;
        hundredths
    }
}

/// How a command line ends the program before it has begun.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// Help or version was asked for: this text, and status 0.
    Show(String),
    /// It can't be done: status 2.
    Problem(Problem),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl Options {
    /// Reads a command line, the program's name first.
    pub fn of<I: IntoIterator<Item = String>>(arguments: I) -> Result<Self, Stop> {
        parsed(arguments)
    }

    /// What is to be done: `stored` is what an earlier run on the same database did, which this one
    /// goes on with.
    pub fn settings(&self, stored: Option<&Settings>) -> Result<Settings, Problem> {
        let chosen = self.chosen()?;
        let Some(stored) = stored else {
            return Ok(chosen);
        };
        let differs = |option: &str, given: bool, same: bool, was: &dyn fmt::Display| {
            if given && !same {
                return Err(Problem::new(format!(
                    "the run in this database has {option} {was}: leave the option out, or name \
                     another --db"
                )));
            }
            Ok(())
        };
        let image = |settings: &Settings| match &settings.image {
            Some(file) => file.display().to_string(),
            None => "(made from the seed)".into(),
        };
        differs(
            "--devices",
            self.devices.is_some(),
            chosen.devices == stored.devices,
            &stored.devices,
        )?;
        differs(
            "--max-in-progress",
            self.max_in_progress.is_some(),
            chosen.max_in_progress == stored.max_in_progress,
            &stored.max_in_progress,
        )?;
        differs(
            "--max-failure-percentage",
            self.max_failure_percentage.is_some(),
            // Both come from the same text.
            chosen.max_failure_percentage.to_bits() == stored.max_failure_percentage.to_bits(),
            &stored.max_failure_percentage,
        )?;
        differs(
            "--faults",
            self.faults.is_some(),
            chosen.faults == stored.faults,
            &stored.faults,
        )?;
        differs(
            "--seed",
            self.seed.is_some(),
            chosen.seed == stored.seed,
            &stored.seed,
        )?;
        differs(
            "--force-downgrade",
            self.force_downgrade,
            stored.force_downgrade,
            &stored.force_downgrade,
        )?;
        differs(
            "--image",
            self.image.is_some(),
            chosen.image == stored.image,
            &image(stored),
        )?;
        Ok(stored.clone())
    }

    fn chosen(&self) -> Result<Settings, Problem> {
        let percent = self.max_failure_percentage.unwrap_or(30.0);
        if !hundredths(percent) {
            return Err(Problem::new(format!(
                "--max-failure-percentage {percent}: a number from 0 to 100 with at most two \
                 decimals is needed"
            )));
        }
        let image = self.image.as_ref().map(|file| {
            std::path::absolute(file)
                .map_err(|error| Problem::because(format!("--image {}", file.display()), &error))
        });
        Ok(Settings {
            devices: count("--devices", self.devices.unwrap_or(200), DEVICES_MAX)?,
            max_in_progress: count(
                "--max-in-progress",
                self.max_in_progress.unwrap_or(20),
                u32::MAX.into(),
            )?,
            max_failure_percentage: percent,
            faults: self.faults.unwrap_or_default(),
            seed: self.seed.unwrap_or(1),
            force_downgrade: self.force_downgrade,
            image: image.transpose()?,
            hurry: self.hurry,
        })
    }
}

/// Reads a command line of any example, the program's name first.
pub fn parsed<P: Parser, I: IntoIterator<Item = String>>(arguments: I) -> Result<P, Stop> {
    P::try_parse_from(arguments).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            Stop::Show(error.render().to_string())
        }
        _ => Stop::Problem(first_line(&error)),
    })
}

fn count(option: &str, value: u64, max: u64) -> Result<u32, Problem> {
    match u32::try_from(value) {
        Ok(count) if value > 0 && value <= max => Ok(count),
        _ => Err(Problem::new(format!(
            "{option} {value}: a number from 1 to {max} is needed"
        ))),
    }
}

/// Whether a percentage is one that a campaign takes (S3).
fn hundredths(percent: f64) -> bool {
    let scaled = percent * 100.0;
    (0.0..=100.0).contains(&percent) && (scaled - scaled.round()).abs() < 1e-6
}

/// clap explains at length; its first line says what is wrong.
fn first_line(error: &clap::Error) -> Problem {
    let text = error.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    Problem::new(line.trim_start_matches("error: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, Stop> {
        let arguments = std::iter::once("quickstart").chain(line.split_whitespace());
        Options::of(arguments.map(String::from))
    }

    fn problem(line: &str) -> String {
        let stop = match read(line) {
            Ok(options) => Stop::Problem(options.settings(None).unwrap_err()),
            Err(stop) => stop,
        };
        match stop {
            Stop::Problem(problem) => problem.to_string(),
            Stop::Show(text) => panic!("{line} shows {text}"),
        }
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let settings = read("").unwrap().settings(None).unwrap();
        assert_eq!((settings.devices, settings.max_in_progress), (200, 20));
        assert_eq!((settings.faults, settings.seed), (Faults::Some, 1));
    }

    #[test]
    fn a_bad_option_is_one_sentence_that_names_option_and_value() {
        for (line, option, value) in [
            ("--devices 0", "--devices", "0"),
            ("--devices 100001", "--devices", "100001"),
            ("--devices many", "--devices", "many"),
            ("--devices -1", "-1", "unexpected"),
            ("--max-in-progress 0", "--max-in-progress", "0"),
            (
                "--max-in-progress 4294967296",
                "--max-in-progress",
                "4294967296",
            ),
            (
                "--max-failure-percentage 101",
                "--max-failure-percentage",
                "101",
            ),
            (
                "--max-failure-percentage -1",
                "--max-failure-percentage",
                "-1",
            ),
            (
                "--max-failure-percentage NaN",
                "--max-failure-percentage",
                "NaN",
            ),
            (
                "--max-failure-percentage 0.125",
                "--max-failure-percentage",
                "0.125",
            ),
            ("--faults all", "--faults", "all"),
            ("--seed x", "--seed", "x"),
            ("--colour", "--colour", "unexpected"),
        ] {
            let problem = problem(line);
            assert!(problem.contains(option), "{line}: {problem}");
            assert!(problem.contains(value), "{line}: {problem}");
            assert_eq!(problem.lines().count(), 1, "{line}: {problem}");
        }
    }

    #[test]
    fn the_limits_themselves_are_allowed() {
        for line in [
            "--devices 1 --max-in-progress 1",
            "--max-failure-percentage 0",
            "--max-failure-percentage 100",
            "--max-failure-percentage 33.33",
        ] {
            read(line).unwrap().settings(None).unwrap();
        }
    }

    #[test]
    fn help_is_shown_and_is_no_problem() {
        assert!(matches!(read("--help"), Err(Stop::Show(text)) if text.contains("--faults")));
    }

    #[test]
    fn a_stored_run_goes_on_as_it_was_and_refuses_what_differs() {
        let stored = read("--devices 7 --seed 3 --faults harsh --force-downgrade")
            .unwrap()
            .settings(None)
            .unwrap();
        for line in [
            "",
            "--devices 7",
            "--seed 3 --faults harsh",
            "--force-downgrade",
        ] {
            let again = read(line).unwrap().settings(Some(&stored)).unwrap();
            assert_eq!(again, stored, "{line}");
        }
        for (line, names) in [
            ("--devices 8", "--devices 7"),
            ("--seed 4", "--seed 3"),
            ("--faults none", "--faults harsh"),
            ("--max-in-progress 5", "--max-in-progress 20"),
            ("--max-failure-percentage 5", "--max-failure-percentage 30"),
            ("--image a.bin", "--image (made from the seed)"),
        ] {
            let no = read(line).unwrap().settings(Some(&stored)).unwrap_err();
            assert!(no.to_string().contains(names), "{line}: {no}");
        }
    }
}
