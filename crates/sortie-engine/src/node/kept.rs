//! Finished campaigns that stay folded for a while after a question (L6).
//!
//! Who pages through the targets of a finished campaign asks many times, and to fold its log at each
//! would take as many times a million events.

use std::{collections::VecDeque, time::Duration};

use sortie_core::{Campaign, StreamId};

use super::{
    Node, View,
    stream::{Body, Slot},
};

/// So long after its last question. Programs page at once, and people read a page in less.
const KEPT_FOR: Duration = Duration::from_secs(30);
/// At most so many: each takes some 140 bytes a target.
const KEPT_MAX: usize = 4;

/// The finished campaigns that are folded, and when each was asked last; the longest unasked first.
#[derive(Debug, Default)]
pub(super) struct Kept(VecDeque<(Duration, StreamId)>);

impl Kept {
    /// It was asked; answers which one there is no room for any more.
    fn asked(&mut self, stream: StreamId, now: Duration) -> Option<StreamId> {
        self.forget(stream);
        self.0.push_back((now, stream));
        let first = self.0.front().filter(|_| self.0.len() > KEPT_MAX);
        first.map(|(_, stream)| *stream)
    }

    fn forget(&mut self, stream: StreamId) {
        self.0.retain(|(_, kept)| *kept != stream);
    }

    /// When the next one is let go of.
    pub(super) fn next_end(&self) -> Option<Duration> {
        self.0.front().map(|(asked, _)| *asked + KEPT_FOR)
    }
}

impl Node {
    /// A finished campaign was folded for these questions: it stays so for a while.
    pub(super) fn keep(&mut self, stream: StreamId, campaign: Box<Campaign>) {
        if let Some(slot) = self.streams.get_mut(&stream) {
            slot.body = Body::Kept(campaign);
            self.kept_asked(stream);
        }
    }

    /// Answers what a kept campaign is asked.
    pub(super) fn answer_kept(&mut self, stream: StreamId, slot: &mut Slot) {
        let Body::Kept(campaign) = &slot.body else {
            return;
        };
        if slot.queries.is_empty() {
            return;
        }
        for query in std::mem::take(&mut slot.queries) {
            (query.ask)(Ok(View::new(campaign, self, None)));
        }
        self.kept_asked(stream);
    }

    fn kept_asked(&mut self, stream: StreamId) {
        if let Some(other) = self.kept.asked(stream, self.now.monotonic) {
            self.let_go(other);
        }
    }

    /// Unloads it, if it is kept.
    pub(super) fn let_go(&mut self, stream: StreamId) {
        self.kept.forget(stream);
        if let Some(slot) = self.streams.get_mut(&stream)
            && matches!(slot.body, Body::Kept(_))
        {
            slot.body = Body::Unloaded;
        }
    }

    /// Those that have not been asked for long enough.
    pub(super) fn let_go_unasked(&mut self) {
        while self
            .kept
            .next_end()
            .is_some_and(|at| at <= self.now.monotonic)
            && let Some((_, stream)) = self.kept.0.front().copied()
        {
            self.let_go(stream);
        }
    }
}
