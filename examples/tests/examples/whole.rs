//! The quickstart from its options to its result.

use std::path::Path;

use crate::quickstart::quickstart;
use sortie_examples::{
    log::{self, Ledger, Standing},
    options::Options,
    screen::Screen,
};

fn options(db: &Path, line: &str) -> Options {
    let line = format!("quickstart --hurry --db {} {line}", db.display());
    Options::of(line.split_whitespace().map(String::from)).unwrap()
}

fn ledger(db: &Path) -> Ledger {
    let campaign = sortie::CampaignId::from_name("Quickstart 1.4.0").to_string();
    Ledger::of(&log::of_campaign(db, &campaign).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_under_harsh_faults_ends_as_its_flash_says_and_shows_the_same_again() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("sortie.db");
    let line = "--devices 20 --max-in-progress 5 --faults harsh --seed 3";
    assert!(quickstart(&options(&db, line), Screen::Dark).await.unwrap());
    let ledger = ledger(&db);
    assert_eq!(ledger.targets.len(), 20);
    assert!(ledger.operations > 10 && ledger.most_in_progress <= 5);
    let updated = Standing::Successful {
        reason: "updated".into(),
    };
    assert!(ledger.targets.values().any(|standing| *standing == updated));

    // The campaign is over: nothing happens but that its result is told.
    assert!(quickstart(&options(&db, line), Screen::Dark).await.unwrap());
    let again = self::ledger(&db);
    assert_eq!(
        (&again.targets, again.outcome),
        (&ledger.targets, ledger.outcome)
    );
    assert_eq!(again.operations, ledger.operations);

    let other = quickstart(&options(&db, "--devices 21"), Screen::Dark).await;
    assert!(other.unwrap_err().to_string().contains("--devices 20"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_run_is_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(
        path("text.db"),
        "this is no database, and long enough to be none",
    )
    .unwrap();
    let other = sortie::Sqlite::open(path("used.db")).await.unwrap();
    std::fs::write(path("large.bin"), vec![7; 8 << 20]).unwrap();
    for (db, line, says) in [
        ("text.db", "", "not a log of sortie"),
        ("used.db", "", "in use"),
        ("none/none.db", "--devices 0", "--devices 0"),
        ("x.db", "--image /nowhere/image.bin", "/nowhere/image.bin"),
        ("x.db", "--broker localhost", "--broker"),
        ("none/none.db", "", "none.db"),
        (
            "x.db",
            &format!("--devices 300 --image {}", path("large.bin").display()),
            "devices fit",
        ),
    ] {
        let no = quickstart(&options(&path(db), line), Screen::Dark).await;
        let no = no.unwrap_err().to_string();
        assert!(no.contains(says), "{db} {line}: {no}");
        assert_eq!(no.lines().count(), 1, "{db} {line}: {no}");
    }
    other.close().await;
    // None of them has left anything but the database's own files.
    let left = std::fs::read_dir(dir.path()).unwrap();
    let left = left.filter(|entry| entry.as_ref().unwrap().path().is_dir());
    assert_eq!(left.count(), 0);
}
