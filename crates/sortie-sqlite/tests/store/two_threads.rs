//! Two named threads, and no others.

use std::fs;

use crate::kit::{append, append_one, campaign, event, fresh};

/// The names of this process's threads, as the system cuts them (15 bytes).
#[cfg(target_os = "linux")]
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    // A thread may end meanwhile.
    tasks
        .filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok())
        .map(|name| name.trim().to_owned())
        .collect()
}

#[cfg(target_os = "linux")]
#[test]
fn a_store_has_two_named_threads() {
    let (_folder, store) = fresh();
    append_one(&store, append(campaign(1), 0, vec![event(1)])).unwrap();
    let names = threads();
    for name in ["sortie-sqlite-w", "sortie-sqlite-r"] {
        assert!(names.iter().any(|n| n == name), "{names:?}");
    }
}
