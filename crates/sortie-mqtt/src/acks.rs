//! Which acknowledgement answers which publish.
//!
//! `rumqttc` gives no token for a publish. What it does give: requests are taken from a channel in
//! the order in which they were put in, and each that leaves is told as `Outgoing::Publish(id)`,
//! also in that order. So who puts a publish into the channel and its listener into this queue
//! under one lock knows each packet's id when it leaves, and its listener when `PubAck(id)` comes.
//!
//! A packet id that is still in use ("collision", when a broker acknowledges out of order) is told
//! as `Outgoing::AwaitAck`, and nothing else leaves until it is free; then `Outgoing::Publish`
//! follows. So the order holds there too.

use std::collections::{HashMap, VecDeque};

/// Listeners of publishes that have not been acknowledged.
#[derive(Debug)]
pub(crate) struct Acks<T> {
    /// In the channel, in order.
    waiting: VecDeque<T>,
    /// On their way to the broker, by packet id.
    under_way: HashMap<u16, T>,
}

impl<T> Default for Acks<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            under_way: HashMap::new(),
        }
    }
}

impl<T> Acks<T> {
    /// A publish was put into the channel.
    pub(crate) fn put(&mut self, listener: T) {
        self.waiting.push_back(listener);
    }

    /// The oldest publish in the channel has left, under this id. Without an acknowledgement to
    /// come (id 0, QoS 0) its listener is given back at once.
    pub(crate) fn left(&mut self, id: u16) -> Option<T> {
        let listener = self.waiting.pop_front()?;
        if id == 0 {
            return Some(listener);
        }
        // An id comes again only once its acknowledgement is there, so nobody is replaced.
        self.under_way.insert(id, listener)
    }

    /// An acknowledgement came.
    pub(crate) fn acknowledged(&mut self, id: u16) -> Option<T> {
        self.under_way.remove(&id)
    }

    /// All that are not acknowledged.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
        self.under_way.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_find_their_publishes_in_whatever_order_they_come() {
        let mut acks = Acks::default();
        for name in ["a", "b", "progress", "c"] {
            acks.put(name);
        }
        assert_eq!(acks.left(1), None);
        assert_eq!(acks.left(2), None);
        assert_eq!(acks.left(0), Some("progress"));
        assert_eq!(acks.acknowledged(2), Some("b"));
        assert_eq!(acks.left(2), None);
        assert_eq!(acks.acknowledged(2), Some("c"));
        assert_eq!(acks.acknowledged(1), Some("a"));
        assert_eq!(acks.acknowledged(1), None, "twice acknowledged");
        assert_eq!(acks.left(3), None, "nothing was put in");
    }
}
