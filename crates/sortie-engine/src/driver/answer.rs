//! Answering handles: at once, when the node does, or by saying that it takes too long.

use std::{collections::VecDeque, time::Duration};

use sortie_core::StreamId;
use tokio::sync::{oneshot, watch};

use super::{
    ask::{CommandMessage, Message, Unanswered, WAITING_MAX},
    handle::CallError,
    health::{Health, LinkHealth, StoreHealth},
    turn::{Ending, Loop},
};
use crate::node::{Command, NodeInput, Progress};

/// An answer that has not come by then is late.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

impl Loop {
    pub(super) fn asked_for(&mut self, message: Message) -> Option<Ending> {
        match message {
            Message::Command(command) => self.command(command),
            Message::Query { query, late } => {
                self.node.handle(NodeInput::Query(query), self.now);
                self.late_question(late);
            }
            Message::Subscribe(stream, answer) => {
                let _ = answer.send(self.subscribe(stream));
            }
            Message::Kinds(stream, answer) => {
                let _ = answer.send(self.node.kinds(stream));
            }
            Message::Campaigns { answer, late } => {
                self.campaigns.push(answer);
                self.late_question(late);
            }
            Message::Catalog { ask, late } => {
                self.catalogs.push(ask);
                self.late_question(late);
            }
            Message::Health(answer) => {
                let _ = answer.send(self.health());
            }
            Message::Preview {
                wanted,
                answer,
                permit,
            } => self.preview(wanted, answer, permit),
            Message::FromLog(question, permit) => self.read_log(question, permit),
            Message::Stop => return Some(Ending::Asked),
        }
        None
    }

    fn command(&mut self, message: CommandMessage) {
        // A manual update is given once the inventory has answered.
        if let Some(message) = self.looked_up(message) {
            self.give(message);
        }
    }

    pub(super) fn give(&mut self, message: CommandMessage) {
        let CommandMessage {
            id,
            actor,
            what,
            answer,
            late,
            permit,
        } = message;
        if self.store.away().is_some() {
            let why = self.store_trouble();
            let _ = answer.send(Err(CallError::Unavailable(why)));
            return;
        }
        self.asks += 1;
        let ask = self.asks;
        let asked = Unanswered {
            answer,
            _permit: permit,
        };
        self.asked.insert(ask, asked);
        let command = Command {
            ask,
            id,
            actor,
            what,
        };
        self.node.handle(NodeInput::Command(command), self.now);
        push_late(
            &mut self.late_commands,
            self.now.monotonic + ANSWER_LIMIT,
            late,
        );
    }

    /// With the log away a question that can't be answered in this turn is late in the next.
    fn late_question(&mut self, late: oneshot::Sender<String>) {
        if self.store.away().is_some() {
            self.late_questions.push_front((self.now.monotonic, late));
        } else {
            push_late(
                &mut self.late_questions,
                self.now.monotonic + ANSWER_LIMIT,
                late,
            );
        }
    }

    fn subscribe(&mut self, stream: StreamId) -> Option<watch::Receiver<Progress>> {
        let progress = self.node.progress(stream)?;
        let sender = self
            .watched
            .entry(stream)
            .or_insert_with(|| watch::Sender::new(progress));
        Some(sender.subscribe())
    }

    /// What is done at the end of each turn for those who wait and watch.
    pub(super) fn publish(&mut self) {
        for stream in std::mem::take(&mut self.progressed) {
            let Some(sender) = self.watched.get(&stream) else {
                continue;
            };
            match self.node.progress(stream) {
                // Also if no counter has changed: who follows one target sees to it.
                Some(progress) if sender.receiver_count() > 0 => {
                    sender.send_replace(progress);
                }
                // Deleted, or nobody watches any more.
                _ => drop(self.watched.remove(&stream)),
            }
        }
        if self.node.is_recovered() {
            for answer in std::mem::take(&mut self.campaigns) {
                let all = self.node.campaigns();
                let all =
                    all.filter_map(|campaign| self.node.progress(StreamId::Campaign(campaign)));
                let _ = answer.send(all.collect());
            }
        }
        if !self.catalogs.is_empty()
            && let Some(catalog) = self.node.catalog()
        {
            for ask in std::mem::take(&mut self.catalogs) {
                ask(catalog.clone());
            }
        }
    }

    fn health(&self) -> Health {
        Health {
            at: self.now.wall,
            stopped: None,
            link: LinkHealth {
                up: self.link.is_up(),
                since: Some(self.link.since()),
                why: self.link.why().map(Into::into),
                next_try: self.link.next_try(),
            },
            store: StoreHealth {
                up: self.store.away().is_none(),
                since: Some(self.store.since()),
                why: self.store.away().map(Into::into),
                appending_since: self.appending_since.map(|since| since.wall),
            },
            node: self.node.health(),
            messages_dropped: self.inbox.dropped(),
            commands_waiting: self.asked.len(),
        }
    }
}

/// Those who stopped waiting are forgotten before the list grows beyond what may wait.
fn push_late(
    list: &mut VecDeque<(Duration, oneshot::Sender<String>)>,
    at: Duration,
    late: oneshot::Sender<String>,
) {
    if list.len() >= 2 * WAITING_MAX {
        list.retain(|(_, late)| !late.is_closed());
    }
    list.push_back((at, late));
}
