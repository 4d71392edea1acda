//! The loop: everything that waits goes into the node, then everything that it asks for is done.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    future::poll_fn,
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use sortie_core::{Status, StreamId};
use sortie_ports::{Append, Heard, InboxReader};
use tokio::sync::{
    mpsc::{UnboundedReceiver, UnboundedSender},
    oneshot, watch,
};

use super::{
    ask::{AskCatalog, Message, Unanswered},
    guard::Boxed,
    jobs::{Jobs, Resolved},
    link::{Link, Order},
    start::Ports,
    store::{Appended, Store},
};
use crate::node::{Clocks, Node, NodeInput, Progress};

/// How much of one kind is taken in a turn, so that none keeps the others waiting.
const TAKE_MAX: usize = 2_048;

/// Ticks are at least so far apart: no timer is finer, and one that the node can't do without would
/// else keep the loop busy.
const TICK_MIN: Duration = Duration::from_millis(1);

/// The driver's loop. See the module.
pub(super) struct Loop {
    pub(super) node: Node,
    pub(super) ports: Ports,
    pub(super) now: Clocks,
    pub(super) jobs: Jobs,
    /// Appends that wait for the one under way.
    pub(super) appends: Vec<Append>,
    pub(super) store: Store,
    pub(super) appending_since: Option<Clocks>,
    pub(super) link: Link,
    pub(super) orders: UnboundedSender<Order>,
    pub(super) runs_ended: UnboundedReceiver<String>,
    pub(super) inbox: InboxReader,
    pub(super) messages: UnboundedReceiver<Message>,
    shutdown_on: Option<Boxed<()>>,
    /// Commands that the node has, by the number it knows them by.
    pub(super) asked: HashMap<u64, Unanswered>,
    pub(super) asks: u64,
    /// Who is told, in the order of when, that an answer is late.
    pub(super) late_commands: VecDeque<(Duration, oneshot::Sender<String>)>,
    pub(super) late_questions: VecDeque<(Duration, oneshot::Sender<String>)>,
    /// Who waits for the log to have been read.
    pub(super) campaigns: Vec<oneshot::Sender<Vec<Progress>>>,
    /// Who waits for the catalog to be at hand.
    pub(super) catalogs: Vec<AskCatalog>,
    pub(super) watched: BTreeMap<StreamId, watch::Sender<Progress>>,
    /// Streams whose progress changed in this turn.
    pub(super) progressed: BTreeSet<StreamId>,
    timer: Option<(Duration, Boxed<()>)>,
    ticked: Duration,
}

/// Something that the loop was woken for.
enum Happened {
    Input(NodeInput),
    Heard(Vec<Heard>),
    Message(Message),
    LinkEnded(String),
    Appended(Appended),
    Read(NodeInput),
    Resolved(Resolved),
    /// A question was answered from the log.
    Told,
    TimerRanOut,
    /// Asked to stop, or nobody is left to ask anything.
    Ending(Ending),
}

/// Why the loop ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Asked,
    /// The last handle was dropped.
    Left,
}

impl Loop {
    pub(super) fn new(
        node: Node,
        ports: Ports,
        now: Clocks,
        inbox: InboxReader,
        messages: UnboundedReceiver<Message>,
        (link, orders, runs_ended): (Link, UnboundedSender<Order>, UnboundedReceiver<String>),
        shutdown_on: Option<Boxed<()>>,
    ) -> Self {
        Self {
            node,
            ports,
            now,
            jobs: Jobs::new(),
            appends: vec![],
            store: Store::new(now.wall),
            appending_since: None,
            link,
            orders,
            runs_ended,
            inbox,
            messages,
            shutdown_on,
            asked: HashMap::new(),
            asks: 0,
            late_commands: VecDeque::new(),
            late_questions: VecDeque::new(),
            campaigns: vec![],
            catalogs: vec![],
            watched: BTreeMap::new(),
            progressed: BTreeSet::new(),
            timer: None,
            ticked: now.monotonic,
        }
    }

    /// Turns until something ends it.
    pub(super) async fn turns(&mut self) -> Ending {
        self.connect(Duration::ZERO);
        loop {
            self.perform_all();
            let happened = poll_fn(|cx| self.gather(cx)).await;
            self.now = Clocks {
                wall: self.ports.clock.now(),
                monotonic: self.ports.clock.monotonic(),
            };
            for happened in happened {
                if let Some(ending) = self.take(happened) {
                    return ending;
                }
            }
            // A store in memory answers at once: without this the loop would never let go of its
            // thread while there is work.
            yield_once().await;
        }
    }

    /// Takes what waits, of each kind; pending if nothing does.
    fn gather(&mut self, cx: &mut Context<'_>) -> Poll<Vec<Happened>> {
        let mut happened = vec![];
        if let Some(shutdown_on) = &mut self.shutdown_on
            && shutdown_on.as_mut().poll(cx).is_ready()
        {
            self.shutdown_on = None;
            happened.push(Happened::Ending(Ending::Asked));
        }
        while let Poll::Ready(Some(why)) = self.runs_ended.poll_recv(cx) {
            happened.push(Happened::LinkEnded(why));
        }
        if let Some(append) = &mut self.jobs.append
            && let Poll::Ready(answers) = append.as_mut().poll(cx)
        {
            self.jobs.append = None;
            happened.push(Happened::Appended(answers));
        }
        drain(
            || self.jobs.writes.poll_next(cx).map(Happened::Input),
            &mut happened,
        );
        drain(
            || self.jobs.reads.poll_next(cx).map(Happened::Read),
            &mut happened,
        );
        drain(
            || self.jobs.resolves.poll_next(cx).map(Happened::Resolved),
            &mut happened,
        );
        drain(
            || self.jobs.deletes.poll_next(cx).map(Happened::Input),
            &mut happened,
        );
        drain(
            || self.jobs.stories.poll_next(cx).map(|()| Happened::Told),
            &mut happened,
        );
        if let Poll::Ready(heard) = pin!(self.inbox.take(TAKE_MAX)).poll(cx) {
            happened.push(Happened::Heard(heard));
        }
        let messages = &mut self.messages;
        let message = || {
            messages.poll_recv(cx).map(|message| match message {
                Some(message) => Happened::Message(message),
                None => Happened::Ending(Ending::Left),
            })
        };
        drain(message, &mut happened);
        if self.poll_timer(cx).is_ready() {
            happened.push(Happened::TimerRanOut);
        }
        if happened.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(happened)
    }

    /// One timer for all that is due next.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let tick = self.node.wake().map(|at| at.max(self.ticked + TICK_MIN));
        let late = [&self.late_commands, &self.late_questions].map(|late| late.front());
        let late = late.into_iter().flatten().map(|(at, _)| *at);
        let Some(due) = late.chain(tick).min() else {
            self.timer = None;
            return Poll::Pending;
        };
        if self.timer.as_ref().is_none_or(|(at, _)| *at != due) {
            let clock = self.ports.clock.clone();
            let sleep = async move { clock.sleep_until(due).await };
            self.timer = Some((due, Box::pin(sleep)));
        }
        let Some((_, timer)) = &mut self.timer else {
            return Poll::Pending;
        };
        let ran_out = timer.as_mut().poll(cx);
        if ran_out.is_ready() {
            self.timer = None;
        }
        ran_out
    }

    fn take(&mut self, happened: Happened) -> Option<Ending> {
        match happened {
            Happened::Input(input) | Happened::Resolved(Resolved::Node(input)) => {
                self.node.handle(input, self.now);
            }
            Happened::Heard(heard) => heard.into_iter().for_each(|heard| self.heard(heard)),
            Happened::Message(message) => return self.asked_for(message),
            Happened::LinkEnded(why) => self.link_ended(why),
            Happened::Appended(answers) => self.appended(answers),
            Happened::Read(input) => {
                if let NodeInput::Page(_, answer) = &input
                    && self.store.read(answer, self.now.wall)
                {
                    self.store_went_away();
                }
                self.node.handle(input, self.now);
            }
            Happened::Resolved(Resolved::Preview(job)) => {
                let preview = job
                    .snapshot
                    .map(|snapshot| snapshot.judge(self.node.fleet()));
                // Who asked may have gone, here and below.
                let _ = job.answer.send(preview);
            }
            Happened::Resolved(Resolved::Manual(job)) => self.device_looked_up(*job),
            Happened::Told => {}
            Happened::TimerRanOut => self.time_passed(),
            Happened::Ending(ending) => return Some(ending),
        }
        None
    }

    fn heard(&mut self, heard: Heard) {
        let input = match heard {
            Heard::LinkUp => {
                self.link.came_up(self.now);
                NodeInput::Link(true)
            }
            Heard::Presence(device, presence) => NodeInput::Presence(device, presence),
            Heard::Report(device, route, report) => {
                NodeInput::Report(device, route, Box::new(report))
            }
            Heard::Progress(device, progress) => NodeInput::Progress(device, progress),
            // The port may grow; what this version does not know it can't act on.
            _ => return,
        };
        self.node.handle(input, self.now);
    }

    fn link_ended(&mut self, why: String) {
        // First of all: until the link is back nobody's presence is known.
        self.node.handle(NodeInput::Link(false), self.now);
        let wait = self.link.ended(why, self.now);
        self.connect(self.now.monotonic + wait);
    }

    /// Hands a new inbox to the link's task; nothing that the last run heard comes after this.
    fn connect(&mut self, at: Duration) {
        let inbox = self.inbox.connect();
        // The task outlives the loop; if it is gone all the same, nothing can run the link.
        let _ = self.orders.send(Order::Run { inbox, at });
    }

    pub(super) fn appended(&mut self, answers: Appended) {
        self.appending_since = None;
        if self.store.appended(&answers, self.now.wall) {
            self.store_went_away();
        }
        for (stream, answer) in answers {
            self.node
                .handle(NodeInput::Appended(stream, answer), self.now);
        }
    }

    /// Questions that wait for committed state get no answer for as long as it can't be read.
    fn store_went_away(&mut self) {
        let why = self.store_trouble();
        for (_, late) in self.late_questions.drain(..) {
            let _ = late.send(why.clone());
        }
    }

    pub(super) fn store_trouble(&self) -> String {
        match self.store.away() {
            Some(why) => {
                let ms = self.now.wall.0.saturating_sub(self.store.since().0);
                format!("the event log is away for {} s: {why}", ms.max(0) / 1_000)
            }
            None => "the event log has not answered for 30 s".into(),
        }
    }

    fn time_passed(&mut self) {
        let why = self.store_trouble();
        for late in [&mut self.late_commands, &mut self.late_questions] {
            let due = late.partition_point(|(at, _)| *at <= self.now.monotonic);
            for (_, late) in late.drain(..due) {
                let _ = late.send(why.clone());
            }
        }
        self.ticked = self.now.monotonic;
        self.node.handle(NodeInput::Tick, self.now);
    }

    /// Drops all but the ports and the two ends of the link's task.
    pub(super) fn leave(self) -> (Ports, UnboundedSender<Order>, UnboundedReceiver<String>) {
        (self.ports, self.orders, self.runs_ended)
    }

    /// How many campaigns are not at rest, for the warning when the last handle is dropped.
    pub(super) fn running(&self) -> usize {
        let progress = self
            .node
            .campaigns()
            .filter_map(|id| self.node.progress(StreamId::Campaign(id)));
        let at_rest = |progress: &Progress| {
            progress.is_over() || matches!(progress.status, Status::Idle | Status::Paused)
        };
        progress.filter(|progress| !at_rest(progress)).count()
    }
}

/// Takes what is ready, at most so much.
fn drain(mut next: impl FnMut() -> Poll<Happened>, happened: &mut Vec<Happened>) {
    for _ in 0..TAKE_MAX {
        let Poll::Ready(one) = next() else { return };
        let is_last = matches!(one, Happened::Ending(_));
        happened.push(one);
        if is_last {
            return;
        }
    }
}

/// Lets others of the same thread go first.
pub(super) async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
