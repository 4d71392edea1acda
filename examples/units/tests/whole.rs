//! The program itself, over TCP, as a person runs it.

use std::process::Command;

#[test]
fn the_program_updates_its_units_and_says_so() {
    let run = Command::new(env!("CARGO_BIN_EXE_sortie-units")).output();
    let run = run.expect("the program runs");
    let out = String::from_utf8_lossy(&run.stdout);
    let err = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{out}\n{err}");
    let last = out.lines().last().expect("it says something");
    let end = "finished (success): 0 idle, 0 of 10 in progress, 39 successful, 1 failed";
    assert_eq!(last, end, "{err}");
}
