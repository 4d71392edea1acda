//! One scripted device: the rules A of the protocol, and its journal.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    time::Duration,
};

use sortie_core::{Device, DeviceId};
use sortie_ports::Heard;
use sortie_protocol::{
    BaseImage, Birth, Generation, Presence, Reason, Report, Request, Route, Status, StatusCode,
    Update, Uuid,
};

use super::{
    Play,
    play::{Plan, Step},
    rng::Rng,
};

/// How many results a device remembers (A3).
const RESULTS: usize = 4;

/// A device, its connection and what is on the way to and from it.
#[derive(Debug)]
pub(super) struct Scripted {
    pub(super) device: Device,
    pub(super) version: String,
    pub(super) is_online: bool,
    /// Taken off the network by the test, or gone dark.
    pub(super) is_unplugged: bool,
    /// What it does with the next updates, before the fleet's script is asked.
    pub(super) plays: VecDeque<Play>,
    sessions: u32,
    seen: Generation,
    /// The last request seen was lower than one before (A2).
    behind: bool,
    /// What its request register holds.
    register: Option<Request>,
    under_way: Option<UnderWay>,
    results: VecDeque<(Route, Report)>,
    /// Operations whose report registers are not emptied yet (A8).
    ended: Vec<Uuid>,
    /// Operations on which it says nothing.
    mute: BTreeSet<Uuid>,
    /// Every operation that it was ever asked to do, by its UUID.
    pub(super) story: BTreeMap<Uuid, Told>,
    inbound: VecDeque<(Duration, Request)>,
    outbound: VecDeque<(Duration, Heard)>,
}

/// What one operation was to a device.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    /// How often it began.
    pub(super) begun: u32,
    /// How it ended.
    pub(super) result: Option<Report>,
}

#[derive(Debug)]
struct UnderWay {
    operation: Uuid,
    route: Route,
    version: String,
    stage: Status,
    percent: u8,
    plan: Plan,
}

/// What a device needs of its fleet for a step.
pub(super) struct Context<'a> {
    pub(super) rng: &'a mut Rng,
    /// Says what a device does with an update that has no play of its own.
    pub(super) script: &'a mut dyn FnMut(&Device) -> Play,
}

impl Scripted {
    pub(super) fn new(device: Device, version: &str) -> Self {
        Self {
            device,
            version: version.into(),
            is_online: false,
            is_unplugged: false,
            plays: VecDeque::new(),
            sessions: 0,
            seen: Generation(0),
            behind: false,
            register: None,
            under_way: None,
            results: VecDeque::new(),
            ended: vec![],
            mute: BTreeSet::new(),
            story: BTreeMap::new(),
            inbound: VecDeque::new(),
            outbound: VecDeque::new(),
        }
    }

    fn id(&self) -> &DeviceId {
        self.device.id()
    }

    /// Whether an operation is under way on it.
    pub(super) fn is_at_work(&self) -> bool {
        self.under_way.is_some()
    }

    /// When it does something next.
    pub(super) fn next(&self) -> Option<Duration> {
        let step = self.under_way.as_ref().and_then(|work| work.plan.front());
        let times = [
            step.map(|(at, _)| *at),
            self.inbound.front().map(|(at, _)| *at),
            self.outbound.front().map(|(at, _)| *at),
        ];
        times.into_iter().flatten().min()
    }

    /// Does what is due at `now`; answers what arrives at the engine's end.
    pub(super) fn step(&mut self, now: Duration, context: &mut Context<'_>) -> Vec<Heard> {
        let mut heard = vec![];
        while self.inbound.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, request)) = self.inbound.pop_front() {
                self.register = Some(request.clone());
                if self.is_online {
                    self.request(&request, now, context);
                }
            }
        }
        while let Some((at, step)) = self.due(now) {
            self.take(step, at, context);
        }
        while self.outbound.front().is_some_and(|(at, _)| *at <= now) {
            heard.extend(self.outbound.pop_front().map(|(_, heard)| heard));
        }
        heard
    }

    fn due(&mut self, now: Duration) -> Option<(Duration, Step)> {
        let plan = &mut self.under_way.as_mut()?.plan;
        plan.front().filter(|(at, _)| *at <= now)?;
        plan.pop_front()
    }

    /// A request is on its way to it.
    pub(super) fn ask(&mut self, at: Duration, request: Request) {
        self.inbound.push_back((at, request));
    }

    /// Connects, unless it is unplugged: says its birth and its reports, and reads its register
    /// (A1, A8, A11).
    pub(super) fn connect(&mut self, now: Duration, context: &mut Context<'_>) {
        if self.is_unplugged || self.is_online {
            return;
        }
        self.is_online = true;
        self.sessions += 1;
        self.tell_all(now, context.rng);
        if let Some(request) = self.register.clone() {
            self.request(&request, now, context);
        }
    }

    /// Its connection is closed, or lost.
    pub(super) fn disconnect(&mut self, now: Duration, lost: bool, rng: &mut Rng) {
        if !self.is_online {
            return;
        }
        self.is_online = false;
        let presence = Presence::Offline {
            session: self.session(),
            lost,
        };
        self.say(now, rng, |id| Heard::Presence(id, presence));
    }

    /// All that is retained of it is deleted (D1).
    pub(super) fn forget(&mut self) {
        self.register = None;
        self.ended.clear();
    }

    /// What somebody who begins to hear it is told: what is in its retained registers.
    pub(super) fn retell(&mut self, now: Duration, rng: &mut Rng) {
        self.outbound.clear();
        if self.is_online {
            self.tell_all(now, rng);
        } else if self.sessions > 0 {
            let presence = Presence::Offline {
                session: self.session(),
                lost: true,
            };
            self.say(now, rng, |id| Heard::Presence(id, presence));
            self.tell_reports(now, rng);
        }
    }

    fn tell_all(&mut self, now: Duration, rng: &mut Rng) {
        self.tell_birth(now, rng);
        self.tell_reports(now, rng);
    }

    fn tell_birth(&mut self, now: Duration, rng: &mut Rng) {
        let version = self.version.clone();
        let image = BaseImage {
            version,
            ..BaseImage::default()
        };
        let birth = Birth {
            session: self.session(),
            generation: Some(self.seen),
            behind: self.behind,
            base_image: (!self.version.is_empty()).then_some(image),
            system_model: Some(self.device.system_model().to_string()),
        };
        self.say(now, rng, |id| Heard::Presence(id, Presence::Online(birth)));
    }

    fn tell_reports(&mut self, now: Duration, rng: &mut Rng) {
        let ended = self.results.iter();
        let ended = ended.filter(|(_, report)| self.ended.contains(&report.operation));
        let mut reports: Vec<_> = ended.cloned().collect();
        let loud = self.under_way.as_ref();
        let loud = loud.filter(|work| !self.mute.contains(&work.operation));
        reports.extend(loud.map(UnderWay::report));
        for (route, report) in reports {
            self.tell(now, rng, route, report);
        }
    }

    fn tell(&mut self, now: Duration, rng: &mut Rng, route: Route, report: Report) {
        let generation = Some(self.seen);
        let report = Report {
            generation,
            ..report
        };
        self.say(now, rng, |id| Heard::Report(id, Some(route), report));
    }

    /// Puts a word on its way; words of one device never overtake each other.
    fn say(&mut self, now: Duration, rng: &mut Rng, word: impl FnOnce(DeviceId) -> Heard) {
        let sent = now.saturating_add(rng.latency());
        let last = self.outbound.back().map_or(Duration::ZERO, |(at, _)| *at);
        let word = word(self.id().clone());
        self.outbound.push_back((sent.max(last), word));
    }

    fn session(&self) -> String {
        format!("s{}", self.sessions)
    }

    /// Another version runs on it, by whatever way; a device that is online is born anew.
    pub(super) fn run(&mut self, version: &str, now: Duration, context: &mut Context<'_>) {
        self.version = version.into();
        self.disconnect(now, false, context.rng);
        self.connect(now, context);
    }

    /// What its request register says, as it stands or as it changed.
    fn request(&mut self, request: &Request, now: Duration, context: &mut Context<'_>) {
        // A2
        self.behind = request.generation() < self.seen;
        if self.behind {
            self.tell_birth(now, context.rng);
            return;
        }
        self.seen = request.generation();
        if request
            .operation()
            .is_some_and(|operation| self.mute.contains(&operation))
        {
            return;
        }
        // A8: what has ended is emptied once something else is asked.
        self.ended
            .retain(|ended| Some(*ended) == request.operation());
        match request {
            Request::Update(_, update) => self.update(update, now, context),
            // A5
            Request::Cancel {
                operation, route, ..
            } => {
                self.stop(now, context.rng);
                if !self.answer(*operation, now, context.rng) {
                    let canceled = Report::failure(*operation, StatusCode::Canceled);
                    self.end(route.clone(), canceled, now, context.rng);
                }
            }
            // A7
            Request::None { .. } => self.stop(now, context.rng),
        }
    }

    fn update(&mut self, update: &Update, now: Duration, context: &mut Context<'_>) {
        let operation = update.operation;
        if self.answer(operation, now, context.rng) {
            return;
        }
        let told = self.story.entry(operation).or_default();
        told.begun += 1;
        // A4
        self.stop(now, context.rng);
        if let Some(refusal) = self.refusal(update) {
            self.end(update.route.clone(), refusal, now, context.rng);
            return;
        }
        let script = &mut context.script;
        let play = self.plays.pop_front();
        let play = play.unwrap_or_else(|| script(&self.device));
        if play == Play::Busy {
            let busy = Report::failure(operation, StatusCode::UpdateAlreadyInProgress);
            self.end(update.route.clone(), busy, now, context.rng);
            return;
        }
        if play == Play::Silent {
            self.mute.insert(operation);
            return;
        }
        let work = UnderWay {
            operation,
            route: update.route.clone(),
            version: update.version.clone().unwrap_or_default(),
            stage: Status::Acknowledged,
            percent: 0,
            plan: play.plan(now, context.rng),
        };
        let (route, report) = work.report();
        self.under_way = Some(work);
        self.tell(now, context.rng, route, report);
    }

    /// Its own checks (A4, A9), in their order.
    fn refusal(&self, update: &Update) -> Option<Report> {
        let operation = update.operation;
        let invalid = |code, reason| {
            Some(Report {
                reason: Some(reason),
                ..Report::failure(operation, code)
            })
        };
        if self.under_way.is_some() {
            let busy = StatusCode::UpdateAlreadyInProgress;
            return Some(Report::failure(operation, busy));
        }
        let runs = |version: &Option<String>| version.as_deref() == Some(self.version.as_str());
        if runs(&update.version) && !update.allow.same_version {
            return Some(Report::new(operation, Status::Success));
        }
        if update.decided_on.is_some() && !runs(&update.decided_on) {
            return invalid(StatusCode::InvalidRequest, Reason::VersionChanged);
        }
        let own = self.device.system_model().as_ref();
        let other = update
            .system_model
            .as_deref()
            .is_some_and(|for_| for_ != own);
        if other && !update.allow.system_model {
            return invalid(StatusCode::InvalidBaseImage, Reason::SystemModelMismatch);
        }
        None
    }

    /// Stops what runs, if it still can be (A6).
    fn stop(&mut self, now: Duration, rng: &mut Rng) {
        if let Some(work) = self.under_way.take_if(|work| !work.is_past_no_return()) {
            let canceled = Report::failure(work.operation, StatusCode::Canceled);
            self.end(work.route, canceled, now, rng);
        }
    }

    /// Answers for an operation that it knows, and says whether it does (A3).
    fn answer(&mut self, operation: Uuid, now: Duration, rng: &mut Rng) -> bool {
        let work = self.under_way.as_ref();
        let work = work.filter(|work| work.operation == operation);
        let result = self.results.iter();
        let mut result = result.filter(|(_, report)| report.operation == operation);
        let known = work
            .map(UnderWay::report)
            .or_else(|| result.next().cloned());
        let Some((route, report)) = known else {
            return false;
        };
        self.tell(now, rng, route, report);
        true
    }

    fn end(&mut self, route: Route, report: Report, now: Duration, rng: &mut Rng) {
        if let Some(told) = self.story.get_mut(&report.operation) {
            told.result = Some(report.clone());
        }
        self.ended.push(report.operation);
        self.results.push_back((route.clone(), report.clone()));
        if self.results.len() > RESULTS {
            self.results.pop_front();
        }
        self.tell(now, rng, route, report);
    }

    /// Takes one step of what is under way.
    fn take(&mut self, step: Step, now: Duration, context: &mut Context<'_>) {
        let Some(work) = &mut self.under_way else {
            return;
        };
        match step {
            Step::Say(stage, percent) => {
                (work.stage, work.percent) = (stage, percent);
                let (route, report) = work.report();
                self.tell(now, context.rng, route, report);
            }
            Step::Down => self.disconnect(now, true, context.rng),
            Step::Back { updated } => {
                if updated {
                    self.version.clone_from(&work.version);
                }
                self.connect(now, context);
            }
            Step::Dark => {
                self.is_unplugged = true;
                self.disconnect(now, true, context.rng);
            }
            Step::Succeed => self.finish(Status::Success, None, None, now, context.rng),
            Step::Fail(code, reason) => {
                self.finish(Status::Failure, Some(code), reason, now, context.rng);
            }
        }
    }

    fn finish(
        &mut self,
        status: Status,
        code: Option<StatusCode>,
        reason: Option<Reason>,
        now: Duration,
        rng: &mut Rng,
    ) {
        if let Some(work) = self.under_way.take() {
            let report = Report {
                code,
                reason,
                ..Report::new(work.operation, status)
            };
            self.end(work.route, report, now, rng);
        }
    }

    /// What is under way goes on by another play; answers whether there is something.
    pub(super) fn go_on(&mut self, play: &Play, now: Duration, rng: &mut Rng) -> bool {
        let Some(work) = &mut self.under_way else {
            return false;
        };
        work.plan = play.plan(now, rng);
        true
    }
}

impl UnderWay {
    fn report(&self) -> (Route, Report) {
        let report = Report {
            percent: self.percent,
            ..Report::new(self.operation, self.stage)
        };
        (self.route.clone(), report)
    }

    fn is_past_no_return(&self) -> bool {
        matches!(self.stage, Status::Deployed | Status::Rebooting)
    }
}

impl fmt::Display for Scripted {
    /// `gw-0007: offline, runs 1.3.0, Downloading`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let presence = if self.is_online { "online" } else { "offline" };
        write!(f, "{}: {presence}, runs {}", self.id(), self.version)?;
        match (&self.under_way, &self.register) {
            (Some(work), _) => {
                write!(f, ", {:?} of operation {}", work.stage, work.operation)?;
                if work.plan.is_empty() {
                    f.write_str(", and nothing comes after that in its play")?;
                }
            }
            (None, Some(Request::Update(_, update))) if self.mute.contains(&update.operation) => {
                write!(f, ", silent on operation {}", update.operation)?;
            }
            (None, Some(Request::Update(_, update))) if !self.is_online => {
                write!(f, ", not asked yet for operation {}", update.operation)?;
            }
            _ => {}
        }
        Ok(())
    }
}
