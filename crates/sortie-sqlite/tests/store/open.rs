//! Which files are opened, and by whom.

use std::{fs, io::Read};

use sortie_ports::{AppendError, EventStore};
use sortie_sqlite::{OpenError, Sqlite};

use crate::kit::{append, append_one, auditor, campaign, event, folder, fresh, wait};

#[test]
fn a_log_keeps_its_id_and_events_over_restarts_and_another_has_another_id() {
    let (_folder, path) = folder();
    let store = wait(Sqlite::open(&path)).unwrap();
    let id = wait(store.log_id()).unwrap();
    append_one(&store, append(campaign(1), 0, vec![event(1)])).unwrap();
    drop(store);

    let store = wait(Sqlite::open(&path)).unwrap();
    assert_eq!(wait(store.log_id()).unwrap(), id);
    assert_eq!(wait(store.streams()).unwrap(), [campaign(1)]);
    let (_folder, other) = fresh();
    assert_ne!(wait(other.log_id()).unwrap(), id);
}

#[test]
fn a_second_open_is_refused_naming_the_process_until_the_last_clone_is_gone() {
    let (_folder, path) = folder();
    let store = wait(Sqlite::open(&path)).unwrap();
    let devices = store.devices();
    drop(store);

    let refused = wait(Sqlite::open(&path)).unwrap_err();
    let OpenError::InUse { holder, .. } = &refused else {
        panic!("{refused}");
    };
    assert_eq!(holder.pid(), Some(std::process::id()));
    let text = refused.to_string();
    assert!(text.ends_with(&format!("is in use by process {}", std::process::id())));

    drop(devices);
    wait(Sqlite::open(&path)).unwrap();
}

#[cfg(unix)]
#[test]
fn another_name_of_the_same_file_has_the_same_lock() {
    let (folder, path) = folder();
    let store = wait(Sqlite::open(&path)).unwrap();
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let refused = wait(Sqlite::open(&link)).unwrap_err();
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");

    drop(store);
    fs::remove_file(&path).unwrap();
    let refused = wait(Sqlite::open(&link)).unwrap_err();
    assert!(matches!(refused, OpenError::Store { .. }), "{refused}");
    assert!(!path.exists(), "a dangling link must not be followed");
}

#[test]
fn close_unlocks_while_clones_live_and_they_answer_that_nothing_was_written() {
    let (_folder, path) = folder();
    let store = wait(Sqlite::open(&path)).unwrap();
    let clone = store.clone();
    wait(store.close());
    let again = wait(Sqlite::open(&path)).unwrap();

    let answer = append_one(&clone, append(campaign(1), 0, vec![event(1)]));
    assert!(
        matches!(answer, Err(AppendError::Unavailable(_))),
        "{answer:?}"
    );
    wait(clone.read(&campaign(1), 0, 10)).unwrap_err();
    wait(clone.close());
    drop((store, clone));
    assert_eq!(wait(again.streams()).unwrap(), []);
}

#[test]
fn the_last_drop_folds_the_write_ahead_log_into_the_file() {
    let (folder, path) = folder();
    let store = wait(Sqlite::open(&path)).unwrap();
    append_one(&store, append(campaign(1), 0, vec![event(1)])).unwrap();
    assert!(folder.path().join("log.db-wal").exists());
    drop(store);
    assert!(!folder.path().join("log.db-wal").exists());
}

#[test]
fn what_is_no_log_is_refused_and_left_as_it_was() {
    let (folder, path) = folder();
    let text = b"This is a letter, and it is longer than the header of a database. ".repeat(20);
    fs::write(&path, &text).unwrap();
    let refused = wait(Sqlite::open(&path)).unwrap_err();
    assert!(matches!(refused, OpenError::Foreign { .. }), "{refused}");
    let named = format!("{} is not a log of sortie", path.display());
    assert!(refused.to_string().starts_with(&named), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), text);
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
}

#[test]
fn another_applications_database_is_refused_and_left_as_it_was() {
    let (_folder, path) = folder();
    auditor(&path)
        .execute_batch("CREATE TABLE notes(text TEXT)")
        .unwrap();
    let before = fs::read(&path).unwrap();
    let refused = wait(Sqlite::open(&path)).unwrap_err();
    assert!(matches!(refused, OpenError::Foreign { .. }), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn an_empty_file_becomes_a_log() {
    let (_folder, path) = folder();
    fs::write(&path, b"").unwrap();
    let store = wait(Sqlite::open(&path)).unwrap();
    drop(store);
    let mut header = [0; 16];
    let mut file = fs::File::open(&path).unwrap();
    file.read_exact(&mut header).unwrap();
    assert_eq!(&header, b"SQLite format 3\0");
}

#[test]
fn a_newer_schema_is_refused() {
    let (_folder, path) = folder();
    drop(wait(Sqlite::open(&path)).unwrap());
    auditor(&path)
        .execute_batch("PRAGMA user_version = 9")
        .unwrap();
    let refused = wait(Sqlite::open(&path)).unwrap_err();
    let newer = matches!(
        refused,
        OpenError::Newer {
            found: 9,
            known: 1,
            ..
        }
    );
    assert!(newer, "{refused}");
}

#[test]
fn a_missing_folder_and_a_folder_are_refused_naming_the_path() {
    let (folder, path) = folder();
    for path in [path.join("nowhere.db"), folder.path().to_owned()] {
        let refused = wait(Sqlite::open(&path)).unwrap_err();
        assert!(matches!(refused, OpenError::Store { .. }), "{refused}");
        assert!(refused.to_string().contains(path.to_str().unwrap()));
    }
}

#[test]
fn the_name_memory_is_a_file_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(":memory:");
    drop(wait(Sqlite::open(&path)).unwrap());
    assert!(path.exists());
}
