//! # Quickstart: one command updates a fleet over a real broker
//!
//! ```text
//! cargo run --release --example quickstart
//! ```
//!
//! You will see a campaign roll version 1.4.0 out to 200 devices, at most 20 at once: how they come
//! online, lose power in the middle of a write, roll back, and how it ends. The devices are simulated
//! down to their flash; all else is real: an MQTT broker, a web server, the engine on an SQLite
//! file, and on each device the agent of `sortie-device`. `--help` lists what can be changed;
//! `--faults harsh` is worth a look.
//!
//! Kill it in the middle (`kill -9`) and start it again with the same `--db`: it goes on.
#![forbid(unsafe_code)]

use std::{process::ExitCode, time::Duration};

use sortie::{
    Artifact, CampaignHandle, CampaignId, Catalog, Device, Engine, Mqtt, NewBaseImage, NewCampaign,
    Push, Sqlite,
};
use sortie_examples::{
    broker::{EmbeddedBroker, Mqtt5},
    chip,
    firmware::{NEW, REQUIREMENT},
    fleet::{Fleet, SYSTEM_MODEL},
    http::ImageServer,
    limits,
    log::{self, Ledger},
    notes::Notes,
    options::{Options, Settings, Stop},
    problem::Problem,
    report::{Report, protagonist, story},
    run_dir::RunDir,
    screen::Screen,
    watcher::Watcher,
};

/// The campaign has this name, and an id made of it: whoever starts the program again finds it.
const CAMPAIGN: &str = "Quickstart 1.4.0";

/// Status 0: the campaign ended as the fleet's true state says it should. 1: it did not. 2: it could
/// not be run as asked.
#[tokio::main]
async fn main() -> ExitCode {
    let ended = match Options::of(std::env::args()) {
        Ok(options) => quickstart(&options, Screen::new()).await,
        Err(Stop::Show(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(Stop::Problem(problem)) => Err(problem),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(2)
        }
    }
}

/// Runs it all; answers whether the campaign ended as the fleet's true state says it should.
pub(crate) async fn quickstart(options: &Options, mut screen: Screen) -> Result<bool, Problem> {
    // What is to be done, or what an earlier run on the same database did.
    let mut run = RunDir::choose(options)?;
    let settings = run.settings().clone();
    limits::disk(settings.devices, chip::bytes_for(run.firmware().largest())?)?;
    limits::open_files(settings.devices, settings.max_in_progress)?;

    // 1. A broker in the process, unless there is one outside; the engine's way to it; and the event
    // log: one SQLite file, locked as long as it is open, with a small device table.
    let (embedded, broker) = if let Some(url) = &options.broker {
        (None, url.clone())
    } else {
        let broker = Mqtt5::start(None, settings.devices as usize + 16).await?;
        let url = broker.url();
        (Some(broker), url)
    };
    let transport = Mqtt::new(&broker).and_then(|mqtt| mqtt.prefix(run.prefix()));
    let transport = transport.map_err(|error| Problem::because("--broker", &error))?;
    let store = open(&run).await?;
    println!("Broker    {broker}, topics below {}", run.prefix());
    println!("Event log {}", run.db().display());

    // 2. A web server for the image, at the URL that the campaign names, also after a kill.
    let image = &run.firmware().new;
    let server = ImageServer::start(image, run.port()).await?;
    println!("Image     {}, {} bytes", server.url(), image.bytes.len());
    run.keep(server.port())?;

    // 3. The fleet: each device has a file for its flash, and nothing else outlives a kill.
    let mut fleet = Fleet::open(&settings, run.firmware(), &run.flash())?;
    let devices = fleet.ids().map(|id| Device::new(id.as_str(), SYSTEM_MODEL));
    let devices: Vec<Device> = devices
        .map(|device| Ok(device?.tag("pilot")))
        .collect::<Result<_, sortie::DeviceError>>()
        .map_err(|error| Problem::because("a device", &error))?;
    println!(
        "Fleet     {} devices, faults {}\n",
        devices.len(),
        settings.faults
    );
    let put = store.devices().put(devices).await;
    put.map_err(|error| Problem::because("the device table", &error))?;

    // 4. The engine. It goes on with whatever a kill interrupted.
    let engine = Engine::builder()
        .store(store)
        .transport(transport)
        .settle(patience(&settings, 5))
        .shutdown_on(async { drop(tokio::signal::ctrl_c().await) })
        .start()
        .await
        .map_err(|error| Problem::because("the engine", &error))?;

    // 5. What there is to roll out, to whom, and the campaign: the same at every start.
    let campaign = roll_out(&engine, &settings, &run, &server).await?;
    let mut progress = campaign.watch();

    // 6. Somebody else at the broker, who counts Updates without an answer; and the devices go on.
    let watcher = Watcher::start(&broker, run.prefix())?;
    let (notes, mut heard) = Notes::new();
    if !progress.latest().is_over() {
        fleet.switch_on(&broker, run.prefix(), &notes)?;
    }
    screen.show(&mut progress, &mut heard).await;
    if !progress.latest().is_over() {
        println!(
            "\nStopped. The same command with --db {} goes on.",
            run.db().display()
        );
        return Ok(false);
    }

    // 7. The end: what the log says of each device, and what its flash says.
    fleet.switch_off().await;
    let stopped = engine.shutdown().await;
    stopped.map_err(|error| Problem::because("the engine", &error))?;
    if let Some(broker) = embedded {
        broker.stop().await;
    }
    tell(&run, &fleet, campaign.id(), &watcher)
}

/// Opens the event log. Without `--db`, what an earlier run left there goes first.
async fn open(run: &RunDir) -> Result<Sqlite, Problem> {
    let opened = |error: sortie::OpenError| Problem::because("--db", &error);
    if run.begins_anew() {
        // To open it is the way to find out that nobody else has: a run may be under way there.
        match Sqlite::open(run.db()).await {
            Ok(earlier) => earlier.close().await,
            Err(error @ sortie::OpenError::InUse { .. }) => return Err(opened(error)),
            Err(_unreadable) => {}
        }
        run.clear()?;
    }
    run.make_place()?;
    let store = Sqlite::open(run.db()).await.map_err(opened)?;
    if !run.is_known() && !is_empty(&store).await? {
        return Err(Problem::new(format!(
            "--db {} holds a log that the quickstart did not make: name another file",
            run.db().display()
        )));
    }
    Ok(store)
}

async fn is_empty(store: &Sqlite) -> Result<bool, Problem> {
    let streams = sortie::EventStore::streams(store).await;
    Ok(streams
        .map_err(|error| Problem::because("--db", &error))?
        .is_empty())
}

/// Declares System Model, Collection, Base Image, Group and Channel, and starts the campaign. All of
/// it may be repeated: what is there already is left as it is.
async fn roll_out(
    engine: &Engine,
    settings: &Settings,
    run: &RunDir,
    server: &ImageServer,
) -> Result<CampaignHandle, Problem> {
    let image = &run.firmware().new;
    let artifact = Artifact::new(&server.url(), image.bytes.len() as u64, image.sha256);
    let base_image = format!("gateway-os@{NEW}");
    let catalog = Catalog::new()
        .collection("gateway-os", SYSTEM_MODEL)
        .with(NewBaseImage::new(&base_image, artifact).starting_version_requirement(REQUIREMENT))
        .group("pilot", r#""pilot" in tags"#)
        .channel("pilot", &["pilot"]);
    let declared = engine.declare(catalog).await;
    declared.map_err(|error| Problem::because("the catalog", &error))?;

    let mechanism = Push::new()
        .max_in_progress_operations(settings.max_in_progress)
        .max_failure_percentage(settings.max_failure_percentage)
        .force_downgrade(settings.force_downgrade)
        .stage_timeout(Some(patience(settings, 40)));
    let parsed = |error: sortie::ParseError| Problem::because("the campaign", &error);
    let new = NewCampaign::new(
        CAMPAIGN,
        base_image.parse().map_err(parsed)?,
        "pilot".parse().map_err(parsed)?,
    )
    .id(CampaignId::from_name(CAMPAIGN))
    .mechanism(mechanism);
    let created = engine.create_campaign(new).await;
    created.map_err(|error| Problem::because("the campaign", &error))
}

/// Prints the result. It is read from the log, as any program may read it, and from the devices'
/// flash; the engine is not asked.
fn tell(
    run: &RunDir,
    fleet: &Fleet,
    campaign: CampaignId,
    watcher: &Watcher,
) -> Result<bool, Problem> {
    let settings = run.settings();
    let limit = settings.max_in_progress;
    let entries = log::of_campaign(run.db(), &campaign.to_string())?;
    let ledger = Ledger::of(&entries);
    let mut report = Report::new(
        ledger,
        &fleet.truths()?,
        NEW,
        settings.max_failure_hundredths(),
        limit,
    );
    let experience = fleet.experience()?;
    report.witness(&experience, watcher.most(), limit);
    println!("{report}\n");

    let ledger = report.ledger();
    let seen = match watcher.most() {
        Some(most) => format!("{most} unanswered at the broker"),
        None => "nobody watched the broker".into(),
    };
    println!(
        "In progress at once: at most {} by the log, {seen}; {limit} is the limit.",
        ledger.most_in_progress
    );
    println!("{experience}\n");
    if let Some(device) = protagonist(&entries, ledger, &fleet.losses_of_power()?) {
        let entries = log::of_device(run.db(), &device)?;
        let diary = fleet.diary(&device)?;
        println!("{}", story(&device, &entries, &diary, run.db()));
    }
    Ok(report.is_right())
}

/// How long something is waited for.
fn patience(settings: &Settings, seconds: u64) -> Duration {
    Duration::from_secs(if settings.hurry { seconds / 4 } else { seconds })
}
