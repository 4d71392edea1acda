//! # One device on any broker
//!
//! ```text
//! cargo run --example device -- --broker mqtt://localhost:1883 --id gw-0001 \
//!     --system-model gateway-g2 --version 1.3.0
//! ```
//!
//! You will see it boot and, once an engine asks for an update, what it does about it. Its flash is a
//! file, so it may be stopped and started at any time: what it runs, and what it was doing, stays. The
//! agent is the one of `sortie-device`, the flash is simulated, and `--version` is what it came with
//! when it was made: later its flash decides.
#![forbid(unsafe_code)]

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use sortie_examples::{
    chip::Chip,
    diary::Diary,
    fate::Fate,
    firmware::Image,
    machine::Machine,
    notes::Notes,
    options::{Stop, parsed},
    problem::Problem,
    random::Random,
    run_dir::place,
    troubles::Troubles,
    version_book::VersionBook,
};
use sortie_mqtt::DeviceMqtt;
use sortie_protocol::DeviceId;

/// Plays one device whose flash is simulated.
#[derive(Debug, Parser)]
#[command(name = "device", version)]
struct Options {
    /// The MQTT broker, `mqtt://[user[:password]@]host[:port][/prefix]`
    #[arg(long, value_name = "URL", default_value = "mqtt://localhost:1883")]
    broker: String,
    /// The device's id
    #[arg(long, value_name = "ID", default_value = "gw-0001")]
    id: String,
    /// What kind of device it is
    #[arg(long, value_name = "NAME", default_value = "gateway-g2")]
    system_model: String,
    /// The version that a new device comes with
    #[arg(long, value_name = "VERSION", default_value = "1.3.0")]
    version: String,
    /// The largest image that it can hold, in KiB
    #[arg(long, value_name = "KIB", default_value_t = 64 * 1024)]
    slot: u32,
    /// Where its flash is kept [default: below cargo's target directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// What a new device comes with; any bytes will do.
const FACTORY_BYTES: usize = 24 * 1024;

#[tokio::main]
async fn main() -> ExitCode {
    let lived = match parsed::<Options, _>(std::env::args()) {
        Ok(options) => live(options).await,
        Err(Stop::Show(text)) => {
            print!("{text}");
            Ok(())
        }
        Err(Stop::Problem(problem)) => Err(problem),
    };
    match lived {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(2)
        }
    }
}

/// Lives until Ctrl-C, which is a power cut.
async fn live(options: Options) -> Result<(), Problem> {
    let id = DeviceId::new(&options.id).map_err(|error| Problem::because("--id", &error))?;
    let mqtt = DeviceMqtt::new(&options.broker, id.clone());
    let mqtt = mqtt.map_err(|error| Problem::because("--broker", &error))?;
    let dir = options.dir.unwrap_or_else(|| place("devices"));
    std::fs::create_dir_all(&dir).map_err(|error| Problem::because(dir.display(), &error))?;

    // The bytes of an image don't say which version they are. The device comes with one that it
    // knows, and learns the others from the requests that bring them.
    let factory = Image::new(&options.version, Random::new(1).bytes(FACTORY_BYTES));
    let versions = VersionBook::open(dir.join(format!("{id}.versions")))?;
    versions.note(factory.sha256, &factory.version);

    let slot = options
        .slot
        .checked_mul(1024)
        .filter(|&slot| slot as usize >= FACTORY_BYTES);
    let slot = slot.ok_or_else(|| Problem::new("--slot: from 24 KiB to 4 GiB are needed"))?;
    let diary = Diary::new(dir.join(format!("{id}.diary")));
    let flash = dir.join(format!("{id}.flash"));
    let chip = Chip::open(
        &flash,
        slot,
        &factory,
        1,
        diary.clone(),
        bytes::Bytes::new(),
    )?;
    let fate = Fate::easy(&factory.version);
    let (notes, mut heard) = Notes::new();
    println!(
        "{id} at {}, flash in {}; Ctrl-C cuts its power",
        options.broker,
        flash.display()
    );

    let machine = Machine {
        troubles: Troubles::new(&fate, &chip, &diary, slot.into())?,
        id,
        system_model: options.system_model,
        mqtt: mqtt.backoff(Duration::from_secs(1), Duration::from_secs(10)),
        chip,
        diary,
        fate,
        notes,
        chatty: true,
        versions: Arc::new(versions),
    };
    let telling = async {
        while let Some(note) = heard.recv().await {
            println!("{} {}", note.device, note.what);
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        never = machine.live() => match never {},
        () = telling => {}
        asked = tokio::signal::ctrl_c() => drop(asked),
    }
    Ok(())
}
