//! A disk that takes no more: the answers are true, and the log goes on once there is room.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
};

use sortie_ports::{AppendError, EventStore, Version};
use sortie_sqlite::Sqlite;

use crate::kit::{
    append, append_one, auditor, campaign, child, event, folder, fresh, given_file, wait,
};

/// A batch of one append that needs several pages.
fn large(version: Version) -> sortie_ports::Append {
    append(campaign(1), version, (0..1_000).map(event).collect())
}

#[test]
fn an_auditors_write_lock_makes_appends_unavailable_and_loses_nothing() {
    let (_folder, store) = fresh();
    let auditor = auditor(store.path());
    auditor.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = append_one(&store, large(0));
    assert!(
        matches!(answer, Err(AppendError::Unavailable(_))),
        "{answer:?}"
    );
    auditor.execute_batch("ROLLBACK").unwrap();
    assert_eq!(append_one(&store, large(0)).unwrap(), 1_000);
    assert_eq!(wait(store.verify()).unwrap().commits, 1);
}

/// Appends until a write fails, tells each answer, and tries a few more times.
#[test]
#[ignore = "runs as the child of another test"]
fn appends_until_files_may_not_grow() {
    let store = wait(Sqlite::open(given_file())).unwrap();
    println!();
    let (mut version, mut refused) = (0, 0);
    while refused < 5 {
        match append_one(&store, large(version)) {
            Ok(now) => version = now,
            Err(AppendError::Unavailable(_)) => {
                refused += 1;
                println!("unavailable");
                // True: the store is as it was.
                let page = wait(store.read(&campaign(1), version, 10)).unwrap();
                assert_eq!(page.commits, []);
            }
            Err(AppendError::Unknown(_)) => {
                refused += 1;
                println!("unknown");
            }
            Err(other) => panic!("{other:?}"),
        }
        println!("version {version}");
    }
    println!("end");
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_grow_makes_appends_fail_truthfully_and_the_log_stays_whole() {
    let mut kinds = BTreeSet::new();
    // In steps of about a page of the write-ahead log, so that the limit is met early and late in
    // a transaction.
    for blocks in (1_000..1_120).step_by(8) {
        let (_folder, path) = folder();
        // A limit of the system on the size of files; past it a write fails as on a full disk.
        let limit = format!("trap '' XFSZ\nulimit -f {blocks}");
        let mut child = child("disk_full::appends_until_files_may_not_grow", &path, &limit);
        let output = BufReader::new(child.stdout.take().unwrap());
        let lines: Vec<String> = output.lines().map(Result::unwrap).collect();
        assert!(child.wait().unwrap().success(), "{lines:?}");
        assert!(lines.iter().any(|line| line == "end"), "{lines:?}");
        kinds.extend(lines.iter().filter(|l| l.starts_with("un")).cloned());
        let mut versions = lines.iter().filter_map(|l| l.strip_prefix("version "));
        let version: Version = versions.next_back().unwrap().parse().unwrap();
        assert!(version > 0, "{lines:?}");

        let store = wait(Sqlite::open(&path)).unwrap();
        assert_eq!(wait(store.verify()).unwrap().events, version);
        assert_eq!(append_one(&store, large(version)).unwrap(), version + 1_000);
    }
    // Where there was still room for a small transaction after the failed one, it proves that the
    // failed one is not there.
    assert!(
        kinds
            .iter()
            .map(String::as_str)
            .eq(["unavailable", "unknown"]),
        "{kinds:?}"
    );
}
