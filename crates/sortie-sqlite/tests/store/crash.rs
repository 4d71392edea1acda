//! `kill -9` in the middle of appends loses nothing that was acknowledged.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
};

use sortie_core::{ClaimPhase, ClaimRow, DeviceId, OperationId, StreamId};
use sortie_ports::{Append, Commit, EventStore, Version};
use sortie_sqlite::{OpenError, Sqlite};
use uuid::Uuid;

use crate::kit::{Random, append, campaign, child, event, folder, given_file, wait};

const KILLS: u64 = 20;
const STREAMS: u64 = 3;

/// The append of a stream at a version: its events, and one claim of a device that all streams
/// take in turn, follow from the two.
fn next(stream: StreamId, version: Version, claims: &BTreeMap<DeviceId, ClaimRow>) -> Append {
    let count = 1 + version % 5;
    let events = (version..version + count).map(|v| event(u32::try_from(v).unwrap()));
    let device = DeviceId::new(&format!("gw-{}", version % 11)).unwrap();
    let present = claims.get(&device);
    let number = present.map_or(0, |row| row.number) + 1;
    let row = ClaimRow {
        device,
        number,
        holder: stream,
        operation: OperationId(Uuid::from_u64_pair(version, number)),
        phase: ClaimPhase::Free,
    };
    let expected = present.map(|row| (row.holder, row.number));
    let mut append = append(stream, version, events.collect());
    append.claims = vec![sortie_core::ClaimChange { row, expected }];
    append
}

fn claims(store: &Sqlite) -> BTreeMap<DeviceId, ClaimRow> {
    let rows = wait(store.claims(None, usize::MAX)).unwrap();
    rows.into_iter()
        .map(|row| (row.device.clone(), row))
        .collect()
}

fn commits(store: &Sqlite, stream: StreamId) -> Vec<Commit> {
    let page = wait(store.read(&stream, 0, usize::MAX)).unwrap();
    page.commits
}

fn end(commits: &[Commit]) -> Version {
    commits
        .last()
        .map_or(0, |last| last.first + last.events.len() as Version - 1)
}

/// Appends to all streams, one batch after the other, and says what was acknowledged.
#[test]
#[ignore = "runs as the child of another test"]
fn appends_until_it_is_killed() {
    let store = wait(Sqlite::open(given_file())).unwrap();
    let streams: Vec<StreamId> = (0..STREAMS).map(|n| campaign(n.into())).collect();
    let mut versions: Vec<Version> = streams.iter().map(|s| end(&commits(&store, *s))).collect();
    let mut claims = claims(&store);
    println!();
    loop {
        let mut batch = vec![];
        for (stream, version) in streams.iter().zip(&versions) {
            let append = next(*stream, *version, &claims);
            let row = append.claims[0].row.clone();
            claims.insert(row.device.clone(), row);
            batch.push(append);
        }
        for (n, answer) in wait(store.append(batch)).into_iter().enumerate() {
            versions[n] = answer.unwrap();
            println!("acknowledged {n} {}", versions[n]);
        }
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9_at_any_moment() {
    let (_folder, path) = folder();
    let mut random = Random(11);
    let mut acknowledged = vec![0; usize::try_from(STREAMS).unwrap()];
    for kill in 0..KILLS {
        let mut child = child("crash::appends_until_it_is_killed", &path, "");
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut lines = output.lines().map(Result::unwrap);
        let mut left = 1 + random.below(400);
        // The moment within an append is the pipe's and the scheduler's.
        let mut note = |line: &str| {
            let mut words = line.split(' ').skip_while(|word| *word != "acknowledged");
            if let (Some(_), Some(n), Some(version)) = (words.next(), words.next(), words.next())
                && let (Ok(n), Ok(version)) = (n.parse::<usize>(), version.parse::<Version>())
            {
                acknowledged[n] = version;
                return true;
            }
            false
        };
        while left > 0 {
            left -= u64::from(note(
                &lines.next().expect("the child goes on until it is killed"),
            ));
        }
        if kill == 0 {
            let refused = wait(Sqlite::open(&path)).unwrap_err();
            let OpenError::InUse { holder, .. } = &refused else {
                panic!("{refused}");
            };
            assert_eq!(holder.pid(), Some(child.id()));
        }
        for _ in 0..random.below(200_000) {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had said before it died, the last line perhaps in part.
        for line in lines {
            note(&line);
        }
        check(&path, &acknowledged, kill);
    }
    assert!(
        acknowledged.iter().all(|version| *version > 1_000),
        "{acknowledged:?}"
    );
}

fn check(path: &Path, acknowledged: &[Version], kill: u64) {
    // The lock went with the process.
    let store = wait(Sqlite::open(path)).unwrap();
    let verified = wait(store.verify()).unwrap();
    let mut all = vec![];
    for (n, least) in (0u64..).zip(acknowledged) {
        let stream = campaign(n.into());
        let commits = commits(&store, stream);
        assert!(
            end(&commits) >= *least,
            "kill {kill}: {stream} lost {least}"
        );
        all.extend(
            commits
                .into_iter()
                .map(|commit| (commit.first, stream, commit)),
        );
    }
    assert_eq!(verified.commits, all.len() as u64);
    assert_eq!(verified.events % STREAMS, 0, "kill {kill}");

    // The same appends again, as their versions say, make the same events and the same claims. A
    // batch is one transaction, so that its streams have come equally far.
    let mut expected = BTreeMap::new();
    all.sort_by_key(|(first, stream, _)| (*first, *stream));
    for (first, stream, commit) in all {
        let append = next(stream, first - 1, &expected);
        assert_eq!(
            append.events, commit.events,
            "kill {kill}: {stream} at {first}"
        );
        let row = append.claims[0].row.clone();
        expected.insert(row.device.clone(), row);
    }
    assert_eq!(claims(&store), expected, "kill {kill}");
}
