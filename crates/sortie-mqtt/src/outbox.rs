//! What leaves over one connection, and what became of it.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::acks::Acks;

/// A client of either MQTT version, reduced to what is needed here.
pub(crate) trait Client: Debug + Send + Sync {
    /// Puts a publish into the client's channel; false when it is full or gone.
    fn publish(&self, topic: String, guarantee: Guarantee, payload: Vec<u8>) -> bool;
}

/// How a message is to be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guarantee {
    /// A register: QoS 1, retained.
    Register,
    /// A sign of life: QoS 0, not retained.
    #[cfg_attr(
        not(feature = "device"),
        expect(dead_code, reason = "only devices give signs of life")
    )]
    SignOfLife,
}

/// What became of a register's publish.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The broker has it.
    Taken,
    /// The broker will not take it.
    #[cfg_attr(
        not(feature = "engine"),
        expect(dead_code, reason = "MQTT 3.1.1 has no refusals")
    )]
    Refused(String),
    /// The broker could not take it now, or the connection was lost: nobody knows.
    Unknown,
}

/// The way out of one connection. Dropped or lost, it answers everyone who waits.
#[derive(Debug)]
pub(crate) struct Outbox<C> {
    client: C,
    /// So many publishes may be unacknowledged. Who waits for a place does so in order, and one
    /// that stops waiting has sent nothing.
    window: Arc<Semaphore>,
    acks: Mutex<Acks<Listener>>,
}

#[derive(Debug)]
struct Listener {
    answer: Option<oneshot::Sender<Answer>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl<C: Client> Outbox<C> {
    /// At most `window` registers are unacknowledged at a time. The client's channel must hold
    /// some more.
    pub(crate) fn new(client: C, window: usize) -> Self {
        Self {
            client,
            window: Arc::new(Semaphore::new(window)),
            acks: Mutex::default(),
        }
    }

    /// The client, for what is no publish.
    #[cfg(feature = "device")]
    pub(crate) fn client(&self) -> &C {
        &self.client
    }

    /// Waits for a place, then hands a register over. In the order of the calls; what was dropped
    /// before it was handed over is not sent. The receiver is told what became of it.
    pub(crate) async fn send(
        &self,
        topic: String,
        payload: Vec<u8>,
    ) -> Option<oneshot::Receiver<Answer>> {
        let place = self.window.clone().acquire_owned().await.ok()?;
        let (tell, told) = oneshot::channel();
        self.hand_over(topic, Guarantee::Register, payload, Some(tell), Some(place))
            .then_some(told)
    }

    /// Hands a register over beside the window, for the few that must not wait.
    #[cfg(feature = "engine")]
    pub(crate) fn send_at_once(
        &self,
        topic: String,
        payload: Vec<u8>,
    ) -> Option<oneshot::Receiver<Answer>> {
        let (tell, told) = oneshot::channel();
        self.hand_over(topic, Guarantee::Register, payload, Some(tell), None)
            .then_some(told)
    }

    /// Hands a sign of life over; it may get lost.
    #[cfg(feature = "device")]
    pub(crate) fn hint(&self, topic: String, payload: Vec<u8>) {
        // With the channel full it would come too late to be a sign of life.
        let _left_out = self.hand_over(topic, Guarantee::SignOfLife, payload, None, None);
    }

    fn hand_over(
        &self,
        topic: String,
        guarantee: Guarantee,
        payload: Vec<u8>,
        answer: Option<oneshot::Sender<Answer>>,
        place: Option<OwnedSemaphorePermit>,
    ) -> bool {
        // One lock over both, so that the two queues have one order.
        let mut acks = self.acks();
        if self.window.is_closed() || !self.client.publish(topic, guarantee, payload) {
            return false;
        }
        acks.put(Listener {
            answer,
            _place: place,
        });
        true
    }

    /// The client says that the next publish has left.
    pub(crate) fn left(&self, id: u16) {
        // A sign of life has nobody waiting.
        drop(self.acks().left(id));
    }

    /// The broker has acknowledged a publish.
    pub(crate) fn acknowledged(&self, id: u16, answer: Answer) {
        let listener = self.acks().acknowledged(id);
        if let Some(tell) = listener.and_then(|listener| listener.answer) {
            // Who does not wait any more does not want to know.
            let _unheard = tell.send(answer);
        }
    }

    /// The connection is gone: everyone who waits is told so, and nothing is taken any more.
    pub(crate) fn lost(&self) {
        self.window.close();
        self.acks().clear();
    }

    fn acks(&self) -> MutexGuard<'_, Acks<Listener>> {
        self.acks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of a register that was handed over.
pub(crate) async fn told(told: oneshot::Receiver<Answer>) -> Answer {
    told.await.unwrap_or(Answer::Unknown)
}
