//! An application's own connection to its devices: a hub inside the process, and scripted devices
//! that speak sortie's messages.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use sortie::{
    BaseImage, Birth, Delivery, DeviceId, DeviceStatus, Generation, Inbox, Presence, Report,
    Request, RequestBody, StatusCode, Transport, TransportError, Uuid,
};
use tokio::sync::{Mutex as AsyncMutex, mpsc, watch};

/// What a device does with an Update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Play {
    Updates,
    RollsBack,
    /// It acknowledges, and then says nothing until it is told to go on.
    Holds,
    /// Its connection takes nothing, ever.
    Forbidden,
}

/// What becomes of the next write, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Panics,
    NotNow,
    Hangs,
}

#[derive(Debug, Clone)]
pub(crate) struct Hub {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    devices: Mutex<BTreeMap<DeviceId, Scripted>>,
    frames: mpsc::UnboundedSender<Frame>,
    heard: AsyncMutex<mpsc::UnboundedReceiver<Frame>>,
    closed: watch::Sender<bool>,
    /// How often the link was cut.
    cuts: watch::Sender<usize>,
    /// How often `run` was called.
    runs: watch::Sender<usize>,
    /// How many runs panic, from the first on.
    panics: usize,
}

#[derive(Debug)]
enum Frame {
    Presence(DeviceId, Presence),
    Report(DeviceId, Vec<u8>),
}

/// A device that does rules A2, A3 and A5 as far as these tests need them.
#[derive(Debug)]
struct Scripted {
    version: String,
    play: Play,
    trouble: Option<Trouble>,
    sessions: u32,
    seen: Option<Generation>,
    under_way: Option<(Uuid, String)>,
    /// Each operation that it ever began, and its result.
    results: Vec<(Uuid, Option<Report>)>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self::whose_run_panics(0)
    }

    pub(crate) fn whose_run_panics(panics: usize) -> Self {
        let (frames, heard) = mpsc::unbounded_channel();
        Self {
            shared: Arc::new(Shared {
                devices: Mutex::default(),
                frames,
                heard: AsyncMutex::new(heard),
                closed: watch::Sender::new(false),
                cuts: watch::Sender::new(0),
                runs: watch::Sender::new(0),
                panics,
            }),
        }
    }

    /// Adds devices that run `version` and are online whenever the hub runs.
    pub(crate) fn add(&self, devices: &[sortie::Device], version: &str, play: Play) {
        for device in devices {
            let scripted = Scripted {
                version: version.into(),
                play,
                trouble: None,
                sessions: 0,
                seen: None,
                under_way: None,
                results: vec![],
            };
            self.devices().insert(device.id().clone(), scripted);
        }
    }

    /// The link is lost; it can be run again.
    pub(crate) fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    pub(crate) fn trouble(&self, device: &str, trouble: Trouble) {
        self.with(device, |scripted| scripted.trouble = Some(trouble));
    }

    /// Takes over what the devices of a hub before remember; what they hold goes on by this play.
    pub(crate) fn adopt(&self, before: &Self) {
        let mut devices = self.devices();
        for (id, old) in std::mem::take(&mut *before.devices()) {
            let new = devices.get_mut(&id).unwrap();
            let play = new.play;
            *new = Scripted { play, ..old };
            if let Some((operation, version)) = new.under_way.take() {
                for frame in new.go_on(&id, operation, version) {
                    let _ = self.shared.frames.send(frame);
                }
            }
        }
    }

    pub(crate) fn version_of(&self, device: &str) -> String {
        self.with(device, |scripted| scripted.version.clone())
    }

    /// How many operations all devices together ever began.
    pub(crate) fn operations_seen(&self) -> usize {
        self.devices()
            .values()
            .map(|scripted| scripted.results.len())
            .sum()
    }

    pub(crate) fn runs(&self) -> watch::Receiver<usize> {
        self.shared.runs.subscribe()
    }

    pub(crate) fn was_closed(&self) -> bool {
        *self.shared.closed.borrow()
    }

    fn devices(&self) -> std::sync::MutexGuard<'_, BTreeMap<DeviceId, Scripted>> {
        self.shared.devices.lock().unwrap()
    }

    fn with<T>(&self, device: &str, change: impl FnOnce(&mut Scripted) -> T) -> T {
        change(
            self.devices()
                .get_mut(&DeviceId::new(device).unwrap())
                .unwrap(),
        )
    }
}

#[sortie::async_trait]
impl Transport for Hub {
    async fn run(&self, inbox: Inbox) -> Result<(), TransportError> {
        let mut run = 0;
        self.shared.runs.send_modify(|runs| {
            *runs += 1;
            run = *runs;
        });
        assert!(run > self.shared.panics, "the hub is not ready");
        let mut closed = self.shared.closed.subscribe();
        let mut cuts = self.shared.cuts.subscribe();
        inbox.link_up();
        for (id, scripted) in self.devices().iter_mut() {
            inbox.presence(id, scripted.birth());
        }
        let mut heard = self.shared.heard.lock().await;
        loop {
            let frame = tokio::select! {
                frame = heard.recv() => frame,
                _ = closed.wait_for(|closed| *closed) => None,
                _ = cuts.changed() => None,
            };
            match frame {
                Some(Frame::Presence(device, presence)) => inbox.presence(&device, presence),
                Some(Frame::Report(device, bytes)) => inbox.report_json(&device, &bytes),
                None => return Err(TransportError::disconnected("hub closed")),
            }
        }
    }

    async fn write(&self, request: &Request) -> Delivery {
        let trouble = self.with(request.device.as_str(), |scripted| scripted.trouble.take());
        match trouble {
            Some(Trouble::Panics) => panic!("no socket"),
            Some(Trouble::Hangs) => std::future::pending().await,
            Some(Trouble::NotNow) => return Delivery::NotNow,
            None => {}
        }
        let frames = self.with(request.device.as_str(), |scripted| {
            let refuses = scripted.play == Play::Forbidden;
            let body = RequestBody::from_json(&request.to_json()).unwrap();
            (!refuses).then(|| scripted.take(&request.device, &body))
        });
        let Some(frames) = frames else {
            return Delivery::Refused("not authorised".into());
        };
        for frame in frames {
            let _ = self.shared.frames.send(frame);
        }
        Delivery::Sent
    }

    async fn close(&self) {
        self.shared.closed.send_replace(true);
    }
}

impl Scripted {
    fn birth(&mut self) -> Presence {
        self.sessions += 1;
        let image = BaseImage {
            version: self.version.clone(),
            ..BaseImage::default()
        };
        Presence::Online(Birth {
            session: format!("s{}", self.sessions),
            generation: self.seen,
            base_image: Some(image),
            system_model: Some("gateway-g2".into()),
            ..Birth::default()
        })
    }

    fn take(&mut self, id: &DeviceId, request: &RequestBody) -> Vec<Frame> {
        if self.seen.is_some_and(|seen| request.generation() < seen) {
            return vec![];
        }
        self.seen = Some(request.generation());
        match request {
            RequestBody::Update(_, update) => {
                if let Some((_, result)) =
                    self.results.iter().find(|(id, _)| *id == update.operation)
                {
                    return result.iter().map(|report| frame(id, report)).collect();
                }
                self.results.push((update.operation, None));
                let version = update.version.clone().unwrap();
                let acknowledged = Report::new(update.operation, DeviceStatus::Acknowledged);
                let mut frames = vec![frame(id, &acknowledged)];
                frames.extend(self.go_on(id, update.operation, version));
                frames
            }
            RequestBody::Cancel { operation, .. } => {
                self.under_way = None;
                let present = self.results.iter().find(|(id, _)| id == operation);
                if let Some((_, Some(result))) = present {
                    return vec![frame(id, result)];
                }
                vec![self.ends(id, Report::failure(*operation, StatusCode::Canceled))]
            }
            RequestBody::None { .. } => vec![],
        }
    }

    fn go_on(&mut self, id: &DeviceId, operation: Uuid, version: String) -> Vec<Frame> {
        match self.play {
            Play::Holds | Play::Forbidden => {
                self.under_way = Some((operation, version));
                vec![]
            }
            Play::RollsBack => {
                vec![self.ends(id, Report::failure(operation, StatusCode::SystemRollback))]
            }
            Play::Updates => {
                let words = [
                    DeviceStatus::Downloading,
                    DeviceStatus::Deployed,
                    DeviceStatus::Rebooting,
                ];
                let words = words.map(|status| frame(id, &Report::new(operation, status)));
                self.version = version;
                let birth = Frame::Presence(id.clone(), self.birth());
                let success = self.ends(id, Report::new(operation, DeviceStatus::Success));
                words.into_iter().chain([birth, success]).collect()
            }
        }
    }

    fn ends(&mut self, id: &DeviceId, report: Report) -> Frame {
        let bytes = frame(id, &report);
        self.results
            .retain(|(operation, _)| *operation != report.operation);
        self.results.push((report.operation, Some(report)));
        bytes
    }
}

fn frame(id: &DeviceId, report: &Report) -> Frame {
    Frame::Report(id.clone(), report.to_json())
}
