//! A flash in a file is flash: it keeps what was done, and only that, when its process dies.

#![cfg(feature = "sim")]
#![expect(clippy::unwrap_used, reason = "a failed helper fails the test")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use sortie_flash::{Fault, Journal, SimError, SimFlash, Tear};

type Flash = SimFlash<4, 256>;
const CAPACITY: u32 = 1024;

fn open(path: &Path) -> Flash {
    Flash::file(path, CAPACITY, 1).unwrap()
}

#[test]
fn contents_rules_and_wear_survive_a_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flash");
    let mut flash = open(&path);
    let mut bytes = [0; 12];
    flash.read(0, &mut bytes).unwrap();
    assert_eq!(bytes, [0xFF; 12], "a new file is erased");
    flash.erase(256, 1024).unwrap();
    flash.erase(256, 512).unwrap();
    flash.write(256, &[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
    drop(flash);

    let mut flash = open(&path);
    flash.read(256, &mut bytes).unwrap();
    assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8, 255, 255, 255, 255]);
    assert!(matches!(
        flash.write(260, &[0; 4]),
        Err(SimError::NotErased { offset: 260 })
    ));
    flash.write(264, &[9; 4]).unwrap();
    assert_eq!(flash.wear(), [0, 2, 1, 1]);
}

#[test]
fn a_torn_operation_stays_torn_after_a_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flash");
    let mut flash = open(&path);
    flash.write(0, &[0; 256]).unwrap();
    flash.inject(1, Fault::CutTorn(Tear::Undefined));
    flash.erase(0, 256).unwrap_err();
    flash.power_on();
    let (mut before, mut after) = ([0; 256], [0; 256]);
    flash.read(0, &mut before).unwrap();
    open(&path).read(0, &mut after).unwrap();
    assert_eq!(before, after);
    assert!(before != [0; 256] && before != [0xFF; 256]);
}

#[test]
fn a_snapshot_of_a_file_is_in_memory_and_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let mut flash = open(&dir.path().join("flash"));
    flash.write(4, &[7; 4]).unwrap();
    let mut copy = flash.snapshot().unwrap();
    flash.erase(0, 256).unwrap();
    let mut bytes = [0; 8];
    copy.read(0, &mut bytes).unwrap();
    assert_eq!(bytes, [255, 255, 255, 255, 7, 7, 7, 7]);
    assert!(matches!(
        copy.write(4, &[0; 4]),
        Err(SimError::NotErased { offset: 4 })
    ));
}

#[test]
fn a_file_of_another_size_is_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flash");
    std::fs::write(&path, "a text that somebody needs").unwrap();
    let error = Flash::file(&path, CAPACITY, 1).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{error}");
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "a text that somebody needs"
    );
    assert!(Flash::file(&dir.path().join("no/such/directory"), CAPACITY, 1).is_err());
}

const CHILD: &str = "SORTIE_FLASH_TEST_CHILD";

/// In the child process: stores one number after another, says each that was stored, never ends.
#[test]
fn child_that_stores_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else {
        return;
    };
    let mut journal = Journal::open(open(Path::new(&path))).unwrap();
    let value = journal.load().unwrap().unwrap_or_default();
    let mut next = value
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes));
    loop {
        next += 1;
        journal.store(&[next.to_le_bytes(); 6].concat()).unwrap();
        println!("stored {next}");
    }
}

#[test]
fn what_a_killed_process_has_stored_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flash");
    let mut stored = 0;
    for kill in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "child_that_stores_until_it_is_killed",
                "--nocapture",
            ])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Killed without warning after some stores, more each time, while it goes on storing.
        let mut said = Vec::new();
        while said.len() < 3 + 17 * kill {
            let line = lines.next().expect("the child lives").unwrap();
            said.extend(number(&line));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        said.extend(lines.map_while(Result::ok).filter_map(|line| number(&line)));

        let value = Journal::open(open(&path))
            .unwrap()
            .load()
            .unwrap()
            .expect("a value is there");
        let (words, rest) = value.as_chunks();
        let found = u64::from_le_bytes(words[0]);
        assert!(rest.is_empty() && words.len() == 6 && words.iter().all(|word| *word == words[0]));
        let last = *said.last().expect("it has stored");
        assert!(last > stored, "it went on from what was there");
        // The one under way when it was killed may be there, though it was not said.
        assert!(
            found == last || found == last + 1,
            "said {last}, found {found}"
        );
        stored = found;
    }
}

fn number(line: &str) -> Option<u64> {
    // The test harness may write its own words before ours on the line.
    line.rsplit_once("stored ")?.1.parse().ok()
}
