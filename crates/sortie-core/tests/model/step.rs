//! What may happen: plain data, valid in any state, so that a run shrinks step by step.

use proptest::{prelude::*, sample::select};

/// Devices that exist; each campaign's Channel holds some of them.
pub(crate) const DEVICES: usize = 4;
/// Campaigns that share the fleet.
pub(crate) const CAMPAIGNS: usize = 2;
/// Streams: the campaigns first, then that of a manual update. Few, so that much happens in each.
pub(crate) const STREAMS: usize = CAMPAIGNS + 1;

/// What is fixed for one run: which device is in which campaign's Channel, and what each ships.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) campaigns: Vec<Shipment>,
}

/// One campaign's Channel and image.
#[derive(Debug, Clone)]
pub(crate) struct Shipment {
    /// The devices of its Channel, in the inventory's order.
    pub(crate) devices: Vec<usize>,
    /// The image's version.
    pub(crate) version: &'static str,
    /// Its starting Version Requirement.
    pub(crate) requirement: Option<&'static str>,
}

/// What a campaign is made of, in plain fields; durations in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spec {
    pub(crate) limit: usize,
    pub(crate) failure_percent: u32,
    pub(crate) force: bool,
    pub(crate) enforce: bool,
    pub(crate) request_timeout: u64,
    pub(crate) request_retries: u32,
    pub(crate) stage_timeout: Option<u64>,
    pub(crate) operation_timeout: u64,
    pub(crate) cancel_timeout: u64,
    pub(crate) busy_retries: u32,
    pub(crate) start: When,
}

/// S1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum When {
    Now,
    ByHand,
    At(i64),
}

/// M: a manual update.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Manual {
    pub(crate) device: usize,
    pub(crate) source: Source,
    pub(crate) acknowledged: bool,
    /// The device's System Model by the inventory.
    pub(crate) inventory_model: Option<&'static str>,
    pub(crate) until: Option<i64>,
    /// Its timeouts; a limit of one, no threshold, no retry.
    pub(crate) timing: Spec,
}

/// M2.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    /// A Base Image, by version and System Model.
    Image(&'static str, &'static str),
    File(&'static str),
    Url,
}

impl Manual {
    pub(crate) fn image(&self) -> Option<(&'static str, &'static str)> {
        match self.source {
            Source::Image(version, model) => Some((version, model)),
            _ => None,
        }
    }

    pub(crate) fn file(&self) -> Option<&'static str> {
        match self.source {
            Source::File(file) => Some(file),
            _ => None,
        }
    }

    /// K2: what the inventory says is not part of what was asked for, and a Base Image is meant by its id,
    /// whatever became of it in the catalog since (T4).
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let without = |manual: &Self| Self {
            inventory_model: None,
            source: match &manual.source {
                Source::Image(version, _) => Source::Image(version, ""),
                other => other.clone(),
            },
            ..manual.clone()
        };
        without(self) == without(other)
    }
}

/// A command, to one stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ask {
    Create(Spec),
    Edit(Spec),
    Delete,
    Start,
    Pause,
    Resume,
    Cancel,
    /// Of the target with this index, there or not.
    CancelOperation(usize),
    /// M.
    Manual(Box<Manual>),
}

/// A device, as a target of a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Who {
    /// This stream's target on this device, there or not.
    Of(usize, usize),
    /// One of those that are under way, counted through all streams; any, if none is.
    UnderWay(usize),
}

impl Who {
    /// Stream and device, if `under_way` are under way, in order.
    pub(crate) fn resolve(self, under_way: &[(usize, usize)]) -> (usize, usize) {
        match self {
            Self::Of(stream, device) => (stream, device),
            Self::UnderWay(n) if under_way.is_empty() => (n % STREAMS, n % DEVICES),
            Self::UnderWay(n) => under_way[n % under_way.len()],
        }
    }
}

/// Which operation a device names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum About {
    /// The last one of the stream on this device, under way or not.
    Last,
    /// The one before that.
    Former,
    /// The last one of the stream on another device.
    OtherDevice(usize),
    /// The last one of another stream on this device.
    OtherStream(usize),
    /// One that never was.
    Unknown,
}

/// A device's word on an operation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Word {
    pub(crate) status: &'static str,
    pub(crate) percent: u8,
    pub(crate) code: Option<&'static str>,
    pub(crate) reason: Option<&'static str>,
}

/// How much time passes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Passing {
    Seconds(u64),
    /// Until this stream's next timer runs out, or one millisecond less.
    UntilDue {
        stream: usize,
        just_before: bool,
    },
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    Command {
        stream: usize,
        ask: Ask,
    },
    /// The operation of one that is under way is cancelled (X2).
    CancelOperation {
        who: Who,
    },
    /// The stream's last command comes again, with its id (K1).
    Again {
        stream: usize,
    },
    /// The stream's last command comes again, with an id of its own (K2).
    Repeat {
        stream: usize,
    },
    /// The inventory answers, asked or not; with nobody, if `empty`.
    Snapshot {
        campaign: usize,
        empty: bool,
    },
    Online {
        device: usize,
        version: Option<&'static str>,
        model: Option<&'static str>,
        /// It knows a number this much above its claim's.
        heard: u64,
    },
    Offline {
        device: usize,
    },
    /// The link comes up or goes down; all who were online are heard again at once, if `births`.
    Link {
        up: bool,
        births: bool,
    },
    Report {
        who: Who,
        about: About,
        word: Word,
    },
    Progress {
        who: Who,
        about: About,
        status: &'static str,
        percent: u8,
    },
    SendRefused {
        who: Who,
        about: About,
    },
    /// The holder of the device's claim is to raise its number by this much (W5).
    Raise {
        device: usize,
        above: u64,
    },
    /// The device was removed from the inventory, as this stream hears (D1).
    Removed {
        who: Who,
    },
    /// The uploaded file is gone, needed or not (M2).
    UploadDeleted {
        stream: usize,
    },
    Time {
        passing: Passing,
        wall_seconds: i64,
    },
    /// A command, or a device's removal, whose append takes `hang` milliseconds.
    Slow {
        step: Box<Step>,
        hang: u64,
    },
    /// Pushes; the append takes `hang` milliseconds.
    Pump {
        stream: usize,
        events: usize,
        hang: u64,
    },
    /// The stream is dropped and folded again, from a snapshot taken after this share of its log.
    Restart {
        stream: usize,
        snapshot_percent: usize,
    },
    /// A pump is decided and its append fails: dropped, folded and armed again.
    LostPump {
        stream: usize,
    },
}

pub(crate) const STATUSES: [&str; 8] = [
    "Acknowledged",
    "Downloading",
    "Deploying",
    "Deployed",
    "Rebooting",
    "Error",
    "Success",
    "Failure",
];
pub(crate) const CODES: [Option<&str>; 11] = [
    None,
    Some("RequestTimeout"),
    Some("InvalidRequest"),
    Some("UpdateAlreadyInProgress"),
    Some("NetworkError"),
    Some("IOError"),
    Some("InternalError"),
    Some("InvalidBaseImage"),
    Some("SystemRollback"),
    Some("Canceled"),
    Some("Mystery"),
];
const REASONS: [Option<&str>; 3] = [None, Some("version_changed"), Some("digest_mismatch")];

pub(crate) fn setup() -> impl Strategy<Value = Setup> {
    let shipment = (
        prop_oneof![
            1 => Just(vec![]),
            12 => prop::sample::subsequence((0..DEVICES).collect::<Vec<_>>(), 1..=DEVICES).prop_shuffle(),
        ],
        select(vec!["2.0.0", "2.0.0", "2.0.0+a", "2.0.0-rc.2", "1.0.0"]),
        prop_oneof![
            3 => Just(None),
            1 => select(super::versions::REQUIREMENTS.to_vec()).prop_map(Some),
        ],
    )
        .prop_map(|(devices, version, requirement)| Shipment { devices, version, requirement });
    prop::collection::vec(shipment, CAMPAIGNS).prop_map(|campaigns| Setup { campaigns })
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        6 => Just(When::Now),
        1 => Just(When::ByHand),
        1 => (-100_i64..400).prop_map(|s| When::At(s * 1_000)),
    ]
}

pub(crate) fn spec() -> impl Strategy<Value = Spec> {
    (
        1_usize..4,
        select(vec![0_u32, 25, 50, 100, 100]),
        (prop::bool::weighted(0.3), any::<bool>()),
        (select(vec![30_000_u64, 50_000]), 0_u32..3),
        select(vec![None, Some(40_000_u64), Some(90_000)]),
        select(vec![100_000_u64, 400_000]),
        select(vec![20_000_u64, 60_000]),
        0_u32..4,
        when(),
    )
        .prop_map(
            |(
                limit,
                failure_percent,
                (force, enforce),
                (request_timeout, request_retries),
                stage_timeout,
                operation_timeout,
                cancel_timeout,
                busy_retries,
                start,
            )| Spec {
                limit,
                failure_percent,
                force,
                enforce,
                request_timeout,
                request_retries,
                stage_timeout,
                operation_timeout,
                cancel_timeout,
                busy_retries,
                start,
            },
        )
}

/// A command to a campaign, whether it has started or not.
fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        1 => spec().prop_map(Ask::Create),
        2 => spec().prop_map(Ask::Edit),
        1 => Just(Ask::Delete),
        2 => Just(Ask::Start),
        8 => Just(Ask::Pause),
        8 => Just(Ask::Resume),
        2 => Just(Ask::Cancel),
        2 => (0..=DEVICES).prop_map(Ask::CancelOperation),
    ]
}

fn manual() -> impl Strategy<Value = Manual> {
    let source = prop_oneof![
        3 => select(vec![("2.0.0", "m"), ("1.0.0", "m"), ("2.0.0", "other")])
            .prop_map(|(version, model)| Source::Image(version, model)),
        2 => Just(Source::File("f")),
        1 => Just(Source::Url),
    ];
    let until = prop_oneof![1 => Just(None), 2 => (-10_i64..300).prop_map(|s| Some(s * 1_000))];
    let model = select(vec![None, Some("m"), Some("other")]);
    let acknowledged = prop::bool::weighted(0.7);
    (0..DEVICES, source, acknowledged, model, until, spec()).prop_map(
        |(device, source, acknowledged, inventory_model, until, spec)| Manual {
            device,
            source,
            acknowledged,
            inventory_model,
            until,
            timing: Spec {
                limit: 1,
                failure_percent: 100,
                force: true,
                enforce: false,
                busy_retries: 0,
                start: When::Now,
                ..spec
            },
        },
    )
}

/// A command to a stream of the kind that it is for.
fn command() -> impl Strategy<Value = Step> {
    let campaign = (0..CAMPAIGNS, ask());
    let manual = prop_oneof![
        4 => manual().prop_map(|manual| Ask::Manual(manual.into())),
        // A campaign is never created in the stream of a manual update.
        1 => ask().prop_map(|ask| if matches!(ask, Ask::Create(_)) { Ask::Cancel } else { ask }),
    ];
    prop_oneof![4 => campaign, 1 => (CAMPAIGNS..STREAMS, manual)]
        .prop_map(|(stream, ask)| Step::Command { stream, ask })
}

fn about() -> impl Strategy<Value = About> {
    prop_oneof![
        20 => Just(About::Last),
        2 => Just(About::Former),
        1 => (0..DEVICES).prop_map(About::OtherDevice),
        1 => (0..STREAMS).prop_map(About::OtherStream),
        1 => Just(About::Unknown),
    ]
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![
        1 => (0..STREAMS, 0..DEVICES).prop_map(|(stream, device)| Who::Of(stream, device)),
        2 => (0_usize..100).prop_map(Who::UnderWay),
    ]
}

fn word() -> impl Strategy<Value = Word> {
    let any_word = (
        select(STATUSES.to_vec()),
        select(vec![0_u8, 0, 0, 50]),
        select(CODES.to_vec()),
        select(REASONS.to_vec()),
    )
        .prop_map(|(status, percent, code, reason)| Word {
            status,
            percent,
            code,
            reason,
        });
    let busy = Just(Word {
        status: "Failure",
        percent: 0,
        code: Some("UpdateAlreadyInProgress"),
        reason: None,
    });
    let canceled = Just(Word {
        status: "Failure",
        percent: 0,
        code: Some("Canceled"),
        reason: None,
    });
    let success = Just(Word {
        status: "Success",
        percent: 0,
        code: None,
        reason: None,
    });
    let failure = select(CODES.to_vec()).prop_map(|code| Word {
        status: "Failure",
        percent: 0,
        code,
        reason: None,
    });
    prop_oneof![6 => any_word, 3 => failure, 2 => busy, 1 => canceled, 1 => success]
}

fn passing() -> impl Strategy<Value = Passing> {
    prop_oneof![
        1 => (0_u64..15).prop_map(Passing::Seconds),
        1 => (0_u64..120).prop_map(Passing::Seconds),
        2 => (0..STREAMS, any::<bool>())
            .prop_map(|(stream, just_before)| Passing::UntilDue { stream, just_before }),
    ]
}

fn online() -> impl Strategy<Value = Step> {
    let version = prop_oneof![
        8 => select(vec![Some("1.0.0"), Some("0.9.0"), Some("2.0.0-alpha")]),
        4 => select(super::versions::TEXTS.to_vec()).prop_map(Some),
        1 => Just(None),
    ];
    let model = prop_oneof![6 => Just(Some("m")), 2 => Just(None), 1 => Just(Some("other"))];
    (
        0..DEVICES,
        version,
        model,
        prop_oneof![4 => Just(0_u64), 1 => 1_u64..6],
    )
        .prop_map(|(device, version, model, heard)| Step::Online {
            device,
            version,
            model,
            heard,
        })
}

/// What makes campaigns start.
fn begin() -> impl Strategy<Value = Step> {
    let create = (0..CAMPAIGNS, spec()).prop_map(|(stream, spec)| Step::Command {
        stream,
        ask: Ask::Create(spec),
    });
    let snapshot = (0..CAMPAIGNS, prop::bool::weighted(0.05))
        .prop_map(|(campaign, empty)| Step::Snapshot { campaign, empty });
    let manual = (CAMPAIGNS..STREAMS, manual()).prop_map(|(stream, manual)| Step::Command {
        stream,
        ask: Ask::Manual(manual.into()),
    });
    prop_oneof![3 => create, 3 => snapshot, 1 => manual]
}

fn pump() -> impl Strategy<Value = Step> {
    let events = prop_oneof![1 => 0_usize..4, 2 => Just(100)];
    let hang = prop_oneof![9 => Just(0_u64), 1 => 1_u64..60_000];
    (0..STREAMS, events, hang).prop_map(|(stream, events, hang)| Step::Pump {
        stream,
        events,
        hang,
    })
}

/// A cancel of any kind that is slow to become durable: for some of its time, or longer.
fn slow() -> impl Strategy<Value = Step> {
    let cancel = prop_oneof![
        (0..STREAMS).prop_map(|stream| Step::Command {
            stream,
            ask: Ask::Cancel
        }),
        who().prop_map(|who| Step::CancelOperation { who }),
        who().prop_map(|who| Step::Removed { who }),
    ];
    (cancel, 1_u64..60_000).prop_map(|(step, hang)| Step::Slow {
        step: step.into(),
        hang,
    })
}

/// What is heard of a device's operation.
fn heard() -> impl Strategy<Value = Step> {
    let report = (who(), about(), word());
    let status = select(STATUSES.to_vec());
    let progress = (who(), about(), status, select(vec![0_u8, 50]));
    let progress = progress.prop_map(|(who, about, status, percent)| Step::Progress {
        who,
        about,
        status,
        percent,
    });
    prop_oneof![
        20 => report.prop_map(|(who, about, word)| Step::Report { who, about, word }),
        2 => progress,
        1 => (who(), about()).prop_map(|(who, about)| Step::SendRefused { who, about }),
    ]
}

/// What goes wrong, with devices, link, store or engine.
fn trouble() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..DEVICES).prop_map(|device| Step::Offline { device }),
        2 => (prop::bool::weighted(0.7), prop::bool::weighted(0.8))
            .prop_map(|(up, births)| Step::Link { up, births }),
        2 => (0..DEVICES, 0_u64..3).prop_map(|(device, above)| Step::Raise { device, above }),
        1 => who().prop_map(|who| Step::Removed { who }),
        2 => (0..STREAMS, 0_usize..=100)
            .prop_map(|(stream, snapshot_percent)| Step::Restart { stream, snapshot_percent }),
        2 => (0..STREAMS).prop_map(|stream| Step::LostPump { stream }),
    ]
}

/// Any one step. `young`: few campaigns have started, which is most likely to happen next.
pub(crate) fn step(young: bool) -> BoxedStrategy<Step> {
    if young {
        return prop_oneof![6 => begin(), 4 => online(), 1 => command(), 3 => pump()].boxed();
    }
    let time = (
        passing(),
        prop_oneof![4 => 0_i64..60, 1 => -100_000_i64..100_000],
    );
    prop_oneof![
        3 => begin(),
        5 => command(),
        2 => who().prop_map(|who| Step::CancelOperation { who }),
        1 => slow(),
        1 => (0..STREAMS).prop_map(|stream| Step::Again { stream }),
        1 => (0..STREAMS).prop_map(|stream| Step::Repeat { stream }),
        1 => (0..STREAMS).prop_map(|stream| Step::UploadDeleted { stream }),
        6 => online(),
        24 => heard(),
        6 => trouble(),
        8 => time.prop_map(|(passing, wall_seconds)| Step::Time { passing, wall_seconds }),
        10 => pump(),
    ]
    .boxed()
}
