//! The documents say what is true: the rules that comments, stories and documents name are defined in
//! docs/rules.md or, the device's, in docs/device-protocol.md; docs/operations.md knows all waits.
#![expect(clippy::unwrap_used, reason = "a test's helpers panic on purpose")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use sortie_core::{
    OperationId, StreamId, Timestamp,
    explain::{Wait, Waiting},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `E4`, `A10`: the letter of a group and a number, as a word of its own.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.filter(|word| {
        let number = word.strip_prefix(|letter| "ABCDEFKLMOPRSTVWX".contains(letter));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        number.is_some_and(|text| matches!(text.len(), 1 | 2) && is_number(text))
    })
}

/// The rules that docs/rules.md and docs/device-protocol.md define.
fn defined() -> BTreeSet<String> {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let mut rules = BTreeSet::new();
    for line in read("docs/rules.md").lines() {
        if let Some(rest) = line.strip_prefix("- <a id=\"") {
            let (anchor, rest) = rest.split_once("\"></a>**").unwrap();
            let (rule, text) = rest.split_once("** ").unwrap();
            assert_eq!(anchor, rule.to_lowercase(), "{rule}'s anchor");
            assert!(!text.is_empty() && rules.insert(rule.to_owned()), "{rule}");
        }
    }
    for line in read("docs/device-protocol.md").lines() {
        let row = line.strip_prefix("| **").and_then(|r| r.split_once("** |"));
        if let Some((rule, _)) = row {
            assert!(rules.insert(rule.to_owned()), "{rule} is defined twice");
        }
    }
    rules
}

fn files(dir: &Path, of_kind: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, of_kind, found);
        } else if path.extension().is_some_and(|kind| kind == of_kind) {
            found.push(path);
        }
    }
}

#[test]
fn every_rule_that_is_named_is_defined() {
    if !root().join("docs").is_dir() {
        // A packaged crate has no documents beside it.
        return;
    }
    let rules = defined();
    let mut found = vec![];
    for dir in ["crates", "examples", "benches"] {
        files(&root().join(dir), "rs", &mut found);
    }
    files(&root().join("docs"), "md", &mut found);
    found.push(root().join("README.md"));
    let mut unknown = vec![];
    for path in found {
        let text = fs::read_to_string(&path).unwrap();
        let is_source = path.extension().is_some_and(|kind| kind == "rs");
        // What a story says by name stands in the code itself.
        let tells = path.components().any(|part| part.as_os_str() == "explain");
        for (line, number) in text.lines().zip(1..) {
            let said = match line.split_once("//") {
                Some((_, comment)) if is_source && !tells => comment,
                None if is_source && !tells => continue,
                _ => line,
            };
            for name in names(said).filter(|name| !rules.contains(*name)) {
                unknown.push(format!("{}:{number}: {name}", path.display()));
            }
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

/// One of each thing that a target can wait for.
fn waits() -> Vec<Wait> {
    let (at, operation) = (Timestamp(60_000), OperationId::default());
    let (since, why) = (Some(Timestamp(0)), "why".to_owned());
    let due_in_ms = Some(1_000);
    vec![
        Wait::StartByHand,
        Wait::StartTime { at },
        Wait::Inventory {
            why: Some(why.clone()),
        },
        Wait::Resume,
        Wait::Link { since },
        Wait::Presence { link_since: since },
        Wait::Online { since },
        Wait::Held {
            stream: StreamId::Catalog,
            name: Some("Lab".into()),
            operation,
        },
        Wait::Backoff {
            nth: 1,
            most: 10,
            due_in_ms,
        },
        Wait::Slot {
            in_progress: 50,
            limit: 50,
        },
        Wait::Turn,
        Wait::Acknowledgement {
            operation: None,
            nth: 0,
            most: 3,
            due_in_ms,
        },
        Wait::Advance {
            operation: None,
            heard: None,
            due_in_ms,
        },
        Wait::CancelAnswer {
            operation: None,
            due_in_ms,
        },
        Wait::LateWord { operation },
        Wait::Expiry { at },
        Wait::Restart { why: why.clone() },
        Wait::Log { why },
    ]
}

#[test]
fn the_operators_document_has_a_row_for_each_thing_that_is_waited_for() {
    let Ok(document) = fs::read_to_string(root().join("docs/operations.md")) else {
        // A packaged crate has no documents beside it.
        return;
    };
    // `operation … of …`: what stands for the dots differs.
    let cells = document.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows: Vec<&str> = cells
        .filter_map(|cell| Some(cell.split_once('`')?.0))
        .collect();
    let fits = |said: &str, row: &str| {
        let mut parts = row.split('…');
        let Some(mut rest) = parts.next().and_then(|first| said.strip_prefix(first)) else {
            return false;
        };
        let in_order = parts.all(|part| match rest.split_once(part) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        });
        in_order && (rest.is_empty() || row.ends_with('…'))
    };
    let said = Waiting::new(Timestamp(0), waits()).to_string();
    for line in said.lines().skip(1).map(str::trim_start) {
        assert!(
            rows.iter().any(|row| fits(line, row)),
            "{line:?} has no row"
        );
    }
}
