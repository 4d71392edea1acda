//! What waits is written in one transaction.

use std::{
    fs,
    future::Future,
    path::Path,
    pin::Pin,
    task::{Context, Waker},
};

use sortie_ports::EventStore;
use sortie_sqlite::Sqlite;

use crate::kit::{append, append_one, auditor, campaign, event, fresh, wait};

/// The transactions in the write-ahead log: the frames that end one (SQLite's file format, 4.1).
fn transactions(database: &Path) -> usize {
    let mut wal = database.as_os_str().to_owned();
    wal.push("-wal");
    let wal = fs::read(wal).unwrap();
    let number = |at: usize| u32::from_be_bytes(wal[at..at + 4].try_into().unwrap());
    let (page, salt) = (number(8) as usize, wal[16..24].to_vec());
    let frames = (32..wal.len()).step_by(24 + page);
    let ours = frames.filter(|at| wal[at + 8..at + 16] == salt);
    ours.filter(|at| number(at + 4) != 0).count()
}

#[test]
fn appends_that_wait_share_one_transaction() {
    let (_folder, store) = fresh();
    let before = transactions(store.path());
    append_one(&store, append(campaign(0), 0, vec![event(0)])).unwrap();
    assert_eq!(transactions(store.path()), before + 1);

    // While an auditor holds the file, the write thread waits with what it has taken.
    let auditor = auditor(store.path());
    auditor.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut appends: Vec<Pin<Box<dyn Future<Output = _>>>> = vec![];
    for n in 1..=64 {
        let append = append(campaign(n), 0, vec![event(1)]);
        appends.push(Box::pin(async { store.append(vec![append]).await }));
    }
    let mut context = Context::from_waker(Waker::noop());
    for append in &mut appends {
        // The first poll queues it.
        assert!(append.as_mut().poll(&mut context).is_pending());
    }
    auditor.execute_batch("ROLLBACK").unwrap();
    for append in appends {
        assert_eq!(*wait(append)[0].as_ref().unwrap(), 1);
    }
    // What it had taken before it waited, and all the rest.
    assert!(transactions(store.path()) <= before + 3);
    assert_eq!(wait(store.verify()).unwrap().commits, 65);
}

#[test]
fn many_callers_at_once_are_all_answered_and_nothing_is_lost() {
    let (_folder, store) = fresh();
    let stores: Vec<Sqlite> = (0..64).map(|_| store.clone()).collect();
    std::thread::scope(|scope| {
        for (n, store) in (0u32..).zip(&stores) {
            scope.spawn(move || {
                let stream = campaign(n.into());
                for version in 0..20 {
                    let answer = wait(store.append(vec![append(stream, version, vec![event(n)])]));
                    assert_eq!(*answer[0].as_ref().unwrap(), version + 1);
                }
            });
        }
    });
    let verified = wait(store.verify()).unwrap();
    assert_eq!((verified.commits, verified.events), (64 * 20, 64 * 20));
}
