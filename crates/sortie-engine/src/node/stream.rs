//! What a node keeps of one stream.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use sortie_core::{
    BaseImageId, Campaign, CatalogEvent, CatalogState, ChannelId, ClaimChange, DeviceId,
    DeviceSlot, Event, OperationId, State, StreamId, TargetIndex, Timestamp, campaign::ImageCopy,
    catalog::Use,
};
use sortie_ports::{RecordedCommand, Version};
use sortie_protocol::{Progress as DeviceProgress, Report};
use uuid::Uuid;

use super::{
    StartOrder,
    command::{Command, Done, Refusal},
    history::Snapshot,
    io::Query,
    progress::{Kinds, Progress},
    removal::RemovalId,
    retry::Retry,
};

/// One stream.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) body: Body,
    /// The durable version, as far as this node knows.
    pub(super) version: Version,
    /// The highest epoch seen; our own while `owned`.
    pub(super) epoch: u64,
    /// We have appended `OwnerChanged` since the last doubt.
    pub(super) owned: bool,
    pub(super) inbox: WorkInbox,
    /// Targets whose device's entry in the fleet changed.
    pub(super) changed: BTreeSet<TargetIndex>,
    /// What is being appended.
    pub(super) batch: Option<Batch>,
    pub(super) queries: Vec<Query>,
    /// Committed, for those who watch.
    pub(super) progress: Option<Progress>,
    /// Committed: how many targets there are by status and reason, once it is over.
    pub(super) kinds: Option<Kinds>,
    /// Committed: what the campaign uses of the catalog (T4).
    pub(super) uses: Option<Use>,
    /// Who its targets are, once it has started; kept when it is unloaded.
    pub(super) snapshot: Option<Snapshot>,
    /// The campaign's place in the order of starts.
    pub(super) order: StartOrder,
    /// After a failure: not before this.
    pub(super) retry_at: Option<Duration>,
    /// How many failures in a row.
    pub(super) failures: u32,
    /// Asks of commands that are being decided, to be answered if that panics.
    pub(super) deciding: Vec<u64>,
    /// When it was last folded for a report that came after its end.
    pub(super) loaded_at: Option<Duration>,
    /// The inventory has been asked.
    pub(super) resolving: bool,
    /// What the inventory was asked for.
    pub(super) asked: Option<Box<Asked>>,
    /// A campaign's start, which needs the inventory and the catalog (S2).
    pub(super) start: Retry,
    /// Why the stream stands still, for `health()`.
    pub(super) trouble: Option<String>,
    /// The inventory is being asked whether these devices still exist (D1).
    pub(super) confirming: Vec<DeviceSlot>,
    /// A manual update's uploaded file is being deleted (M2).
    pub(super) deleting: bool,
    /// The deletion of that file.
    pub(super) upload: Retry,
}

/// Where a stream is.
#[derive(Debug)]
pub(super) enum Body {
    /// Only its end is known; folded again when something comes for it (L6).
    Unloaded,
    /// Being folded.
    Loading(Fold),
    /// There.
    Catalog(CatalogState),
    /// There.
    Campaign(Box<Campaign>),
    /// Finished, and folded for questions: nothing is decided in it.
    Kept(Box<Campaign>),
    /// Deciding it panicked, or its log is corrupt: it stands until a restart. The others go on.
    Halted(String),
}

/// A fold under way.
#[derive(Debug)]
pub(super) enum Fold {
    Catalog(CatalogState),
    Campaign(Box<State>),
}

/// Something for a stream, kept until the commit of what it leads to.
#[derive(Debug)]
pub(super) enum Work {
    Command(Command),
    Report(DeviceSlot, Report),
    Progress(DeviceSlot, DeviceProgress),
    /// The transport refuses its request for good, and why (P5).
    Refused(DeviceSlot, OperationId, String),
    /// Raise the device's claim to at least this number (W5).
    Raise(DeviceSlot, u64),
    Resolved(Box<Asked>, Vec<DeviceId>),
    /// The device was removed from the inventory (D1); a person said so, or it was found out.
    Removed(DeviceSlot, RemovalId, Option<Command>),
    /// The uploaded file of a manual update is gone (M2).
    UploadDeleted,
}

/// What a snapshot was resolved for. An edit meanwhile makes it worthless.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    pub(super) base_image: BaseImageId,
    pub(super) channel: ChannelId,
    /// The image as it was then (T4).
    pub(super) image: ImageCopy,
}

/// Work that waits. Levels coalesce by device and operation, and a device has few of them, so that it
/// is bounded by the fleet.
#[derive(Debug, Default)]
pub(super) struct WorkInbox {
    order: VecDeque<u64>,
    work: HashMap<u64, Work>,
    keys: HashMap<Key, u64>,
    /// How many reports of a device wait: it chooses the UUIDs that it names.
    reports: HashMap<DeviceSlot, u8>,
    next: u64,
    /// Reports that there was no room for.
    pub(super) dropped: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Report(DeviceSlot, Uuid),
    Progress(DeviceSlot),
    Raise(DeviceSlot),
    Refused(DeviceSlot),
}

/// A device keeps at most 4 results beside what is under way (A3); more is noise.
const REPORTS_OF_A_DEVICE_MAX: u8 = 8;

impl WorkInbox {
    pub(super) fn push(&mut self, work: Work) {
        self.insert(work, false);
    }

    /// Puts back what a batch had taken, before what came since.
    pub(super) fn put_back(&mut self, works: Vec<Work>) {
        for work in works.into_iter().rev() {
            self.insert(work, true);
        }
    }

    fn insert(&mut self, work: Work, front: bool) {
        let key = match &work {
            Work::Report(slot, report) => Some(Key::Report(*slot, report.operation)),
            Work::Progress(slot, _) => Some(Key::Progress(*slot)),
            Work::Raise(slot, _) => Some(Key::Raise(*slot)),
            Work::Refused(slot, ..) => Some(Key::Refused(*slot)),
            Work::Command(_) | Work::Resolved(..) | Work::Removed(..) | Work::UploadDeleted => None,
        };
        if let Some(waiting) = key
            .as_ref()
            .and_then(|key| self.keys.get(key))
            .and_then(|n| self.work.get_mut(n))
        {
            // What was put back is older than what waits, and a terminal word is final (R2).
            let waiting_is_final =
                matches!(waiting, Work::Report(_, report) if report.status.is_terminal());
            let older_is_final =
                front && matches!(&work, Work::Report(_, report) if report.status.is_terminal());
            if (!front && !waiting_is_final) || older_is_final {
                *waiting = work;
            }
            return;
        }
        if let Work::Report(slot, _) = &work {
            let reports = self.reports.entry(*slot).or_default();
            if *reports == REPORTS_OF_A_DEVICE_MAX {
                self.dropped += 1;
                return;
            }
            *reports += 1;
        }
        let number = self.next;
        self.next += 1;
        if let Some(key) = key {
            self.keys.insert(key, number);
        }
        self.work.insert(number, work);
        if front {
            self.order.push_front(number);
        } else {
            self.order.push_back(number);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Work> {
        let number = self.order.pop_front()?;
        let work = self.work.remove(&number)?;
        match &work {
            Work::Report(slot, report) => {
                self.keys.remove(&Key::Report(*slot, report.operation));
                if let Some(reports) = self.reports.get_mut(slot) {
                    *reports -= 1;
                    if *reports == 0 {
                        self.reports.remove(slot);
                    }
                }
            }
            Work::Progress(slot, _) => drop(self.keys.remove(&Key::Progress(*slot))),
            Work::Raise(slot, _) => drop(self.keys.remove(&Key::Raise(*slot))),
            Work::Refused(slot, ..) => drop(self.keys.remove(&Key::Refused(*slot))),
            Work::Command(_) | Work::Resolved(..) | Work::Removed(..) | Work::UploadDeleted => {}
        }
        Some(work)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The devices whose words come next.
    pub(super) fn next_to_speak(&self, max: usize) -> impl Iterator<Item = DeviceSlot> {
        let next = self.order.iter().take(max);
        next.filter_map(|number| match self.work.get(number)? {
            Work::Report(device, _) | Work::Progress(device, _) => Some(*device),
            _ => None,
        })
    }

    /// The commands that wait, in no order.
    pub(super) fn commands(&self) -> impl Iterator<Item = &Command> {
        self.work.values().filter_map(|work| match work {
            Work::Command(command) => Some(command),
            _ => None,
        })
    }
}

/// What is being appended, and what follows once it is durable.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) at: Timestamp,
    pub(super) events: Arc<[Event]>,
    /// The inputs that led to it, to be handed in again if it fails.
    pub(super) works: Vec<Work>,
    pub(super) commands: Vec<RecordedCommand>,
    pub(super) replies: Vec<(u64, Result<Done, Refusal>)>,
    pub(super) registers: Vec<DeviceSlot>,
    pub(super) claims: Vec<(DeviceSlot, ClaimChange)>,
    /// Claims taken ahead of the commit.
    pub(super) taken: Vec<DeviceSlot>,
    /// It takes the stream over.
    pub(super) owns: bool,
    /// Reports that counted for nothing (R1).
    pub(super) foreign: u64,
}

impl Slot {
    pub(super) fn new(stream: StreamId) -> Self {
        Self {
            body: Body::Unloaded,
            version: 0,
            epoch: 0,
            owned: false,
            inbox: WorkInbox::default(),
            changed: BTreeSet::new(),
            batch: None,
            queries: vec![],
            progress: None,
            kinds: None,
            uses: None,
            snapshot: None,
            order: if stream == StreamId::Catalog {
                i64::MIN
            } else {
                i64::MAX
            },
            retry_at: None,
            failures: 0,
            deciding: vec![],
            loaded_at: None,
            resolving: false,
            asked: None,
            start: Retry::default(),
            trouble: None,
            confirming: vec![],
            deleting: false,
            upload: Retry::default(),
        }
    }

    pub(super) fn order(&self) -> StartOrder {
        self.order
    }

    /// Being folded, or to be folded again after a failure.
    pub(super) fn is_folding(&self) -> bool {
        match self.body {
            Body::Loading(_) => true,
            // What is over, deleted or empty is unloaded for good.
            Body::Unloaded => self.retry_at.is_some() && !self.is_over(),
            _ => false,
        }
    }

    pub(super) fn is_halted(&self) -> bool {
        matches!(self.body, Body::Halted(_))
    }

    /// Finished and drained, as far as is committed.
    pub(super) fn is_over(&self) -> bool {
        self.progress.as_ref().is_some_and(Progress::is_over)
    }

    /// The campaign, if what it says is committed.
    pub(super) fn settled_campaign(&self) -> Option<&Campaign> {
        match &self.body {
            Body::Campaign(campaign) if self.batch.is_none() && self.owned => Some(campaign),
            _ => None,
        }
    }

    /// The catalog, if what it says is committed.
    pub(super) fn settled_catalog(&self) -> Option<&CatalogState> {
        match &self.body {
            Body::Catalog(catalog) if self.batch.is_none() => Some(catalog),
            _ => None,
        }
    }
}

impl Fold {
    pub(super) fn new(stream: StreamId) -> Self {
        match stream {
            StreamId::Catalog => Self::Catalog(CatalogState::default()),
            stream => Self::Campaign(Box::new(State::of(stream))),
        }
    }

    pub(super) fn apply(&mut self, at: Timestamp, event: &Event) {
        match (self, event) {
            (Self::Catalog(state), Event::Catalog(event)) => state.apply(at, event),
            (Self::Campaign(state), Event::Campaign(event)) => state.apply(at, event),
            // A store hands a stream's events out as that stream's kind.
            _ => {}
        }
    }
}

impl From<CatalogEvent> for Batch {
    fn from(event: CatalogEvent) -> Self {
        Self {
            events: [Event::Catalog(event)].into(),
            ..Self::default()
        }
    }
}

/// After `failures` in a row: 250 ms, doubling, at most 30 s.
pub(super) fn backoff(failures: u32) -> Duration {
    Duration::from_millis(250 << failures.saturating_sub(1).min(7)).min(Duration::from_secs(30))
}
