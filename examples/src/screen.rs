//! The campaign, live: bars on a terminal, a line now and then elsewhere.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use sortie::{Progress, Watch};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use crate::notes::Note;

/// So many of the latest notes are shown below the bars.
const NOTES_SHOWN: usize = 5;
/// Elsewhere than on a terminal so many notes are printed in all,
const NOTES_PRINTED: usize = 30;
/// and the counters this often, if they have changed.
const EVERY: Duration = Duration::from_secs(2);

/// Where the campaign is shown.
#[derive(Debug)]
pub enum Screen {
    /// A terminal.
    Bars(Bars),
    /// A file or a pipe.
    Lines(Lines),
    /// Nowhere.
    Dark,
}

/// Bars and the latest notes.
#[derive(Debug)]
pub struct Bars {
    idle: ProgressBar,
    in_progress: ProgressBar,
    successful: ProgressBar,
    failed: ProgressBar,
    notes: Vec<ProgressBar>,
    latest: Vec<String>,
    began: Instant,
}

/// A line now and then.
#[derive(Debug)]
pub struct Lines {
    began: Instant,
    shown: Option<Instant>,
    last: String,
    notes: usize,
}

impl Screen {
    /// Bars if the standard output is a terminal, lines otherwise.
    pub fn new() -> Self {
        if std::io::stdout().is_terminal() {
            Self::Bars(Bars::new())
        } else {
            Self::Lines(Lines {
                began: Instant::now(),
                shown: None,
                last: String::new(),
                notes: 0,
            })
        }
    }

    /// Shows progress and notes until the progress ends.
    pub async fn show(&mut self, progress: &mut Watch, notes: &mut mpsc::Receiver<Note>) {
        let mut tick = interval(Duration::from_millis(250));
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                now = progress.next() => if now.is_none() {
                    break;
                },
                Some(note) = notes.recv() => self.note(&note),
                _ = tick.tick() => self.draw(&progress.latest(), false),
            }
        }
        self.draw(&progress.latest(), true);
        self.end();
    }

    fn draw(&mut self, now: &Progress, last: bool) {
        match self {
            Self::Bars(bars) => bars.draw(now),
            Self::Lines(lines) => lines.draw(now, last),
            Self::Dark => {}
        }
    }

    fn note(&mut self, note: &Note) {
        match self {
            Self::Bars(bars) => bars.note(note),
            Self::Lines(lines) => lines.note(note),
            Self::Dark => {}
        }
    }

    fn end(&mut self) {
        if let Self::Bars(bars) = self {
            bars.end();
        }
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let bar = |name: &'static str, colour: &str| {
            let template = format!("{{prefix:>12}} {{bar:40.{colour}}} {{msg}}");
            let style = ProgressStyle::with_template(&template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("█▉▊▋▌▍▎▏ ");
            let bar = all.add(ProgressBar::new(1));
            bar.set_style(style);
            bar.set_prefix(name);
            bar
        };
        let (idle, in_progress) = (bar("idle", "blue"), bar("in progress", "yellow"));
        let (successful, failed) = (bar("successful", "green"), bar("failed", "red"));
        let line = |_| {
            let style = ProgressStyle::with_template("{msg:.dim}");
            let line = all.add(ProgressBar::new(1));
            line.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            line
        };
        let notes = (0..NOTES_SHOWN).map(line).collect();
        Self {
            idle,
            in_progress,
            successful,
            failed,
            notes,
            latest: vec![],
            began: Instant::now(),
        }
    }

    fn draw(&self, now: &Progress) {
        let counts = &now.counts;
        let set = |bar: &ProgressBar, value: u32, of: u32, text: String| {
            bar.set_length(of.max(1).into());
            bar.set_position(value.into());
            bar.set_message(text);
        };
        let all = counts.targets;
        set(
            &self.idle,
            counts.idle,
            all,
            format!("{} of {all}", counts.idle),
        );
        let draining = if now.draining > 0 { ", draining" } else { "" };
        let under_way = counts.in_progress;
        set(
            &self.in_progress,
            under_way,
            now.limit,
            format!("{under_way}, {} is the limit{draining}", now.limit),
        );
        let ended = format!("{} of {all}", counts.successful);
        set(&self.successful, counts.successful, all, ended);
        let ended = format!("{} of {all}", counts.failed);
        set(&self.failed, counts.failed, all, ended);
    }

    fn note(&mut self, note: &Note) {
        let at = self.began.elapsed().as_secs_f32();
        self.latest
            .push(format!("{at:>7.1} s  {} {}", note.device, note.what));
        let from = self.latest.len().saturating_sub(NOTES_SHOWN);
        self.latest.drain(..from);
        for (line, text) in self.notes.iter().zip(&self.latest) {
            line.set_message(text.clone());
        }
    }

    fn end(&self) {
        for line in &self.notes {
            line.finish_and_clear();
        }
        for bar in [
            &self.idle,
            &self.in_progress,
            &self.successful,
            &self.failed,
        ] {
            bar.abandon();
        }
        // The cursor stands behind the last bar. The terminal may be gone, which is no reason to stop.
        let _gone = writeln!(std::io::stdout(), "\n");
    }
}

impl Lines {
    fn draw(&mut self, now: &Progress, last: bool) {
        if !last && self.shown.is_some_and(|shown| shown.elapsed() < EVERY) {
            return;
        }
        let text = now.to_string();
        if text != self.last {
            self.print(&text);
            self.last = text;
            self.shown = Some(Instant::now());
        }
    }

    fn note(&mut self, note: &Note) {
        self.notes += 1;
        if self.notes <= NOTES_PRINTED {
            self.print(&format!("  {} {}", note.device, note.what));
        } else if self.notes == NOTES_PRINTED + 1 {
            self.print("  … and more of the kind; the event log has it all");
        }
    }

    fn print(&self, text: &str) {
        let at = self.began.elapsed().as_secs_f32();
        // Who reads may have gone, which is no reason to stop.
        let _gone = writeln!(std::io::stdout(), "{at:>7.1} s  {text}");
    }
}
