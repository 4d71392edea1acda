//! What an auditor sees, with `sqlite3` or another SQLite.

use std::process::Command;

use sortie_core::{CampaignEvent, CatalogEvent, DeviceId, Event, StreamId, TargetIndex, Timestamp};
use sortie_ports::EventStore;
use sortie_sqlite::Sqlite;

use crate::kit::{Random, append, append_one, auditor, campaign, event, folder, fresh, take, wait};

fn device(id: &str) -> DeviceId {
    DeviceId::new(id).unwrap()
}

/// A catalog event, a snapshot in two parts, and an operation on the second part's first device.
fn fill(store: &Sqlite) {
    let raised = CatalogEvent::DeviceClaimRaised {
        device: device("gw-0009"),
        claim: 4,
    };
    let added = |ids: &[&str]| {
        Event::Campaign(CampaignEvent::TargetsAdded {
            devices: ids.iter().map(|id| device(id)).collect(),
        })
    };
    let started = Event::Campaign(CampaignEvent::OperationStarted {
        target: TargetIndex(2),
        claim: 1,
        decided_on: None,
        replaces: None,
    });
    let mut last = append(campaign(1), 1, vec![added(&["aa:bb"]), started]);
    last.claims.push(take(campaign(1), "aa:bb", 1));
    for append in [
        append(StreamId::Catalog, 0, vec![Event::Catalog(raised)]),
        append(campaign(1), 0, vec![added(&["gw-0001", "gw-0002"])]),
        last,
    ] {
        append_one(store, append).unwrap();
    }
}

const EXPECTED: &str = r#"
1|catalog|1|2025-11-24T16:03:46.123Z|DeviceClaimRaised||gw-0009|{"type":"DeviceClaimRaised","device":"gw-0009","claim":4}
2|campaign/00000000-0000-0000-0000-000000000001|1|2025-11-24T16:03:46.123Z|TargetsAdded|00000000-0000-0000-0000-000000000001||{"type":"TargetsAdded","devices":["gw-0001","gw-0002"]}
3|campaign/00000000-0000-0000-0000-000000000001|2|2025-11-24T16:03:46.123Z|TargetsAdded|00000000-0000-0000-0000-000000000001||{"type":"TargetsAdded","devices":["aa:bb"]}
4|campaign/00000000-0000-0000-0000-000000000001|3|2025-11-24T16:03:46.123Z|OperationStarted|00000000-0000-0000-0000-000000000001|aa:bb|{"type":"OperationStarted","target":2,"claim":1}
"#;

#[test]
fn the_view_shows_one_row_an_event_with_readable_names() {
    let (_folder, store) = fresh();
    fill(&store);
    let auditor = auditor(store.path());
    let mut select = auditor.prepare("SELECT * FROM events").unwrap();
    let rows = select.query_map([], |row| {
        let text = |column| row.get::<_, Option<String>>(column);
        let number = |column| row.get::<_, i64>(column);
        let texts = [text(3)?, text(4)?, text(5)?, text(6)?, text(7)?];
        let texts = texts.map(Option::unwrap_or_default).join("|");
        Ok(format!(
            "{}|{}|{}|{texts}\n",
            number(0)?,
            text(1)?.unwrap(),
            number(2)?
        ))
    });
    let rows: String = rows.unwrap().map(Result::unwrap).collect();
    let names = "SELECT group_concat(name, ', ') FROM pragma_table_info('events')";
    let names: String = auditor.query_row(names, [], |row| row.get(0)).unwrap();
    assert_eq!(
        names,
        "position, stream, version, recorded_at, kind, campaign, device, body"
    );
    assert_eq!(rows, EXPECTED.trim_start());
    let claim: String = auditor
        .query_row(
            "SELECT device || ' ' || number || ' ' || holder || ' ' || operation || ' ' || phase
             FROM claims",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(
        claim,
        "aa:bb 1 campaign/00000000-0000-0000-0000-000000000001 \
         00000000-0000-0007-0000-000000000001 held"
    );
}

/// The system's own SQLite may be older than the one compiled in, or missing.
#[test]
fn the_sqlite3_of_the_system_shows_the_same_while_the_store_is_open() {
    let (_folder, store) = fresh();
    fill(&store);
    let sqlite3 = Command::new("sqlite3")
        .arg(store.path())
        .arg("select * from events")
        .output();
    let Ok(output) = sqlite3 else {
        eprintln!("skipped: there is no sqlite3");
        return;
    };
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        EXPECTED.trim_start()
    );
}

#[test]
fn times_read_as_the_librarys_own() {
    let (_folder, store) = fresh();
    let mut random = Random(5);
    // Years 0 to 9999, which is what SQLite shows.
    let first = -62_167_219_200_000;
    let mut times = vec![first, -1, 0, 1, 999, 1_764_000_226_123, 253_402_300_799_999];
    times.extend((0..500).map(|_| first + random.below(315_569_519_999_999).cast_signed()));
    for (version, at) in (0..).zip(&times) {
        let mut append = append(campaign(1), version, vec![event(1)]);
        append.at = Timestamp(*at);
        append_one(&store, append).unwrap();
    }
    let auditor = auditor(store.path());
    let mut select = auditor.prepare("SELECT recorded_at FROM events").unwrap();
    let rows = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let shown: Vec<String> = rows.map(Result::unwrap).collect();
    let expected: Vec<String> = times.iter().map(|at| Timestamp(*at).to_string()).collect();
    assert_eq!(shown, expected);
}

#[test]
fn an_auditor_who_reads_for_long_holds_up_no_append_and_sees_one_moment() {
    let (_folder, path) = folder();
    let store = wait(Sqlite::open(&path)).unwrap();
    fill(&store);
    let auditor = auditor(&path);
    let count = || -> i64 {
        let sql = "SELECT count(*) FROM events";
        auditor.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    auditor.execute_batch("BEGIN").unwrap();
    assert_eq!(count(), 4);
    append_one(&store, append(campaign(1), 3, vec![event(1)])).unwrap();
    assert_eq!(count(), 4);
    auditor.execute_batch("COMMIT").unwrap();
    assert_eq!(count(), 5);
    assert_eq!(
        wait(store.read(&campaign(1), 3, 9)).unwrap().commits.len(),
        1
    );
}
