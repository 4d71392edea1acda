//! `shell-device.sh`, which knows nothing of sortie but docs/device-protocol.md, updated by a real
//! engine's campaign over a real broker.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests fail by panicking"
)]

mod common;

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use common::{
    NEW, OLD, SYSTEM_MODEL, audit, builder,
    mosquitto::{Message, Mosquitto, Onlooker, publish},
    new_image, old_image, register, roll_out, rows,
    server::ImageServer,
    table, until, within,
};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use sortie::{CampaignHandle, CampaignOutcome, Engine, Push, Sha256};
use sortie_examples::log::Standing;

const DEVICE: &str = "shell-1";

/// The script, as a process. Its clients are in its process group.
struct ShellDevice {
    broker: u16,
    state: tempfile::TempDir,
    lives: Vec<Child>,
}

impl ShellDevice {
    fn start(broker: u16) -> Self {
        let mut device = Self {
            broker,
            state: tempfile::tempdir().unwrap(),
            lives: vec![],
        };
        device.start_again();
        device
    }

    fn start_again(&mut self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("shell-device.sh");
        let life = Command::new("sh")
            .arg(script)
            .env("BROKER_HOST", "127.0.0.1")
            .env("BROKER_PORT", self.broker.to_string())
            .env("DEVICE_ID", DEVICE)
            .env("SYSTEM_MODEL", SYSTEM_MODEL)
            .env("VERSION", OLD)
            .env("STATE_DIR", self.state.path())
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("there is a shell");
        self.lives.push(life);
    }

    /// The script is gone; the clients that it had started live on, as orphans.
    fn kill_script(&mut self) {
        let life = self.lives.last_mut().unwrap();
        kill_process(Pid::from_child(life), Signal::KILL).unwrap();
        life.wait().unwrap();
    }

    /// All is gone at once, as by a power cut.
    fn kill_all(&mut self) {
        let life = self.lives.last_mut().unwrap();
        kill_process_group(Pid::from_child(life), Signal::KILL).unwrap();
        life.wait().unwrap();
    }

    /// A file in its state directory.
    fn file(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.state.path().join(name)).ok()
    }

    fn is_updated(&self) -> bool {
        let version = self.file("version").unwrap_or_default();
        let image = self.file("image").unwrap_or_default();
        String::from_utf8(version).unwrap().trim_end() == NEW && image == new_image().bytes
    }

    fn is_as_before(&self) -> bool {
        ["version", "image", "pending", "part"]
            .iter()
            .all(|name| self.file(name).is_none())
    }
}

impl Drop for ShellDevice {
    fn drop(&mut self) {
        for life in &mut self.lives {
            // Its group may be dead already.
            let _dead = kill_process_group(Pid::from_child(life), Signal::KILL);
            let _dead = life.wait();
        }
    }
}

/// All that a campaign for one device needs.
struct Stage {
    broker: Mosquitto,
    server: ImageServer,
    onlooker: Onlooker,
    db: std::path::PathBuf,
    _directory: tempfile::TempDir,
}

impl Stage {
    async fn set() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let db = directory.path().join("sortie.db");
        register(&db, [DEVICE]).await;
        let broker = Mosquitto::start("");
        Self {
            server: ImageServer::of(&new_image().bytes).await,
            onlooker: Onlooker::of(broker.port, "sortie/1/d/shell-1/#").await,
            broker,
            db,
            _directory: directory,
        }
    }

    /// The engine, with the campaign, which no failure is allowed to.
    async fn campaign(&self, declared: Sha256) -> (Engine, CampaignHandle) {
        let engine = builder(&self.db, &self.broker.address()).await;
        let engine = engine.start().await.unwrap();
        let push = Push::new()
            .max_in_progress_operations(1)
            .max_failure_percentage(0.0);
        let campaign = roll_out(&engine, &self.server.url(), declared, push).await;
        (engine, campaign)
    }

    async fn reported(&mut self, status: &str) {
        let status = format!("\"status\":\"{status}\"");
        let reported = |m: &Message| m.topic.contains("/report/") && m.payload.contains(&status);
        self.onlooker.until(reported).await;
    }

    /// The request register says None, and thereupon the report register is emptied.
    async fn is_cleared(&mut self) {
        let none = |m: &Message| {
            m.topic.ends_with("/request") && m.payload.contains(r#""operation":"None""#)
        };
        self.onlooker.until(none).await;
        let emptied = |m: &Message| m.topic.contains("/report/") && m.payload.is_empty();
        self.onlooker.until(emptied).await;
        // For whoever comes now there is None and no report. A mark shows that all was sent.
        let port = self.broker.port;
        let mut newcomer = Onlooker::of(port, "sortie/1/d/shell-1/request").await;
        assert!(none(&newcomer.next().await));
        let mut newcomer = Onlooker::of(port, "sortie/1/d/shell-1/report/#").await;
        publish(port, false, [("sortie/1/d/shell-1/report/mark", "mark")]).await;
        assert_eq!(newcomer.next().await.payload, "mark");
    }

    /// One operation, one outcome, by the log.
    async fn ends(&self, engine: Engine, expected: Standing) {
        let health = engine.health().await;
        assert_eq!(health.messages_dropped, 0, "{health}");
        engine.shutdown().await.unwrap();
        let (entries, ledger) = audit(&self.db, 1);
        assert_eq!(ledger.targets, [(DEVICE.to_owned(), expected)].into());
        assert_eq!(ledger.operations, 1);
        let ends = entries
            .iter()
            .filter(|entry| ["TargetSucceeded", "TargetFailed"].contains(&entry.kind.as_str()));
        assert_eq!(ends.count(), 1);
    }
}

fn updated() -> Standing {
    Standing::Successful {
        reason: "updated".into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto, mosquitto-clients and curl"]
async fn a_campaign_updates_a_device_that_is_a_shell_script() {
    within(async {
        let mut stage = Stage::set().await;
        let device = ShellDevice::start(stage.broker.port);
        let (engine, campaign) = stage.campaign(new_image().sha256).await;
        let end = campaign.finished().await.unwrap();
        assert_eq!(end.outcome, Some(CampaignOutcome::Success));
        assert_eq!(table(&campaign).await, rows([("successful: updated", 1)]));
        assert!(device.is_updated());
        assert_eq!(stage.server.asked(), [0]);
        stage.is_cleared().await;
        stage.ends(engine, updated()).await;
    })
    .await;
}

async fn killed_in_the_middle(kill: fn(&mut ShellDevice)) {
    let mut stage = Stage::set().await;
    stage.server.hold_after(0);
    let mut device = ShellDevice::start(stage.broker.port);
    let (engine, campaign) = stage.campaign(new_image().sha256).await;
    stage.reported("Downloading").await;
    until(async || device.file("part").is_some_and(|part| !part.is_empty())).await;
    kill(&mut device);
    assert!(!device.is_updated() && campaign.progress().outcome.is_none());
    // It goes on before the clients of its former life can, if they live.
    device.start_again();
    stage.server.held(2).await;
    stage.server.open();
    let end = campaign.finished().await.unwrap();
    assert_eq!(end.outcome, Some(CampaignOutcome::Success));
    assert_eq!(table(&campaign).await, rows([("successful: updated", 1)]));
    assert!(device.is_updated());
    let asked = stage.server.asked();
    assert!(
        matches!(asked[..], [0, from] if from > 0),
        "resumed: {asked:?}"
    );
    stage.is_cleared().await;
    stage.ends(engine, updated()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto, mosquitto-clients and curl"]
async fn a_shell_device_that_loses_power_in_the_middle_ends_with_one_outcome() {
    within(killed_in_the_middle(ShellDevice::kill_all)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto, mosquitto-clients and curl"]
async fn a_shell_device_whose_script_is_killed_while_its_clients_live_on_ends_with_one_outcome() {
    within(killed_in_the_middle(ShellDevice::kill_script)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs mosquitto, mosquitto-clients and curl"]
async fn a_shell_device_refuses_an_image_whose_digest_was_declared_wrong() {
    within(async {
        let mut stage = Stage::set().await;
        let device = ShellDevice::start(stage.broker.port);
        let (engine, campaign) = stage.campaign(old_image().sha256).await;
        let end = campaign.finished().await.unwrap();
        assert_eq!(end.outcome, Some(CampaignOutcome::Failure));
        assert_eq!(
            table(&campaign).await,
            rows([("failed: invalid_base_image", 1)])
        );
        assert!(device.is_as_before());
        stage.is_cleared().await;
        let failed = Standing::Failed {
            reason: "invalid_base_image".into(),
            abandoned: false,
            late: false,
        };
        stage.ends(engine, failed).await;
    })
    .await;
}
