//! What was changed behind our back is found.

use std::path::Path;

use sortie_core::{CampaignEvent, DeviceId, Event};
use sortie_ports::{EventStore, ReadError};
use sortie_sqlite::{Sqlite, VerifyError};

use crate::kit::{append, append_one, auditor, campaign, event, folder, wait};

/// Two streams in turn: positions 1–2, 3, 4–5, 6, … with a snapshot of one target in the first.
fn write(path: &Path) {
    let store = wait(Sqlite::open(path)).unwrap();
    let devices = vec![DeviceId::new("gw-1").unwrap()];
    let added = Event::Campaign(CampaignEvent::TargetsAdded { devices });
    append_one(&store, append(campaign(1), 0, vec![added, event(2)])).unwrap();
    append_one(&store, append(campaign(2), 0, vec![event(3)])).unwrap();
    for n in 1..100 {
        let two = vec![event(7), event(8)];
        append_one(&store, append(campaign(1), 2 * n, two)).unwrap();
        append_one(&store, append(campaign(2), n, vec![event(9)])).unwrap();
    }
    let verified = wait(store.verify()).unwrap();
    assert_eq!((verified.commits, verified.events), (200, 300));
}

/// The first bad position after `sql` was done to a good log.
fn broken_by(sql: &str) -> (u64, String) {
    let (_folder, path) = folder();
    write(&path);
    let changed = auditor(&path).execute(sql, []).unwrap();
    assert!(changed > 0, "{sql}");
    let store = wait(Sqlite::open(&path)).unwrap();
    match wait(store.verify()) {
        Err(VerifyError::Broken { position, why }) => (position, why),
        other => panic!("{sql}: {other:?}"),
    }
}

#[test]
fn any_column_of_a_commit_that_was_changed_is_found() {
    // Position 4 is in the middle of campaign 1, and 6 of campaign 2.
    for change in [
        "events = replace(events, '8', '9')",
        "commands = '[{\"id\":\"00000000-0000-0000-0000-000000000000\",\"actor\":\"me\"}]'",
        "recorded_at = recorded_at + 1",
        "epoch = 1",
        "schema = 2",
        "count = 1",
        "stream = 9",
        "hash = zeroblob(32)",
        "hash = x'00'",
        "first = 4",
    ] {
        let (position, why) = broken_by(&format!("UPDATE commits SET {change} WHERE position = 4"));
        assert_eq!(position, 4, "{change}: {why}");
    }
}

#[test]
fn one_flipped_bit_of_the_events_is_found() {
    let sql = "UPDATE commits SET events = replace(events, '9', '8') WHERE position = 6";
    let (position, why) = broken_by(sql);
    assert_eq!(position, 6);
    assert!(why.contains("its hash differs"), "{why}");
}

#[test]
fn commits_that_were_removed_or_swapped_are_found() {
    let removed = |sql| broken_by(sql).0;
    assert_eq!(removed("DELETE FROM commits WHERE position = 4"), 4);
    assert_eq!(removed("DELETE FROM commits WHERE position >= 100"), 100);
    assert_eq!(removed("DELETE FROM commits WHERE stream = 2"), 3);
    assert_eq!(removed("DELETE FROM streams WHERE key = 2"), 3);
    let (position, _) = broken_by("UPDATE commits SET position = -1 WHERE position = 300");
    assert_eq!(position, 300);
}

#[test]
fn a_stream_that_lost_its_end_is_found_and_named() {
    // The very last commit: no position and no hash follows that would not fit.
    let (position, why) = broken_by("DELETE FROM commits WHERE position = 300");
    assert_eq!(position, 300);
    assert!(why.contains(&campaign(2).to_string()), "{why}");
    assert!(why.contains("ends at version 99, and 100"), "{why}");
}

#[test]
fn a_wrong_index_of_targets_is_found() {
    let (position, why) = broken_by("UPDATE targets SET device = 'gw-2'");
    assert_eq!(position, 1);
    assert!(why.contains("gw-1"), "{why}");
}

#[test]
fn a_read_answers_corrupt_and_not_what_was_changed() {
    for sql in [
        "UPDATE commits SET events = replace(events, '8', '9') WHERE position = 4",
        "DELETE FROM commits WHERE position = 4",
        "DELETE FROM commits WHERE position = 298",
        "UPDATE streams SET version = version + 1 WHERE key = 1",
    ] {
        let (_folder, path) = folder();
        write(&path);
        assert_eq!(auditor(&path).execute(sql, []).unwrap(), 1);
        let store = wait(Sqlite::open(&path)).unwrap();
        let read = wait(store.read(&campaign(1), 0, 1_000));
        assert!(
            matches!(read, Err(ReadError::Corrupt(_))),
            "{sql}: {read:?}"
        );
        // The other stream is none the worse.
        let other = wait(store.read(&campaign(2), 0, 1_000)).unwrap();
        assert_eq!(other.commits.len(), 100);
    }
}

#[test]
fn a_claim_that_is_none_is_corrupt() {
    let (_folder, path) = folder();
    write(&path);
    auditor(&path)
        .execute_batch("INSERT INTO claim_rows VALUES ('gw-1', 1, 1, zeroblob(16), 'lost')")
        .unwrap();
    let store = wait(Sqlite::open(&path)).unwrap();
    let claims = wait(store.claims(None, 9)).unwrap_err();
    assert!(matches!(claims, ReadError::Corrupt(_)), "{claims:?}");
    assert!(claims.to_string().contains("gw-1"), "{claims}");
}
