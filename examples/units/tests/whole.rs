//! The program itself, over TCP, as a person runs it.

use std::process::Command;

#[test]
fn the_program_updates_its_units_and_says_whom_to_look_after() {
    let run = Command::new(env!("CARGO_BIN_EXE_sortie-units")).output();
    let run = run.expect("the program runs");
    let out = String::from_utf8_lossy(&run.stdout);
    let err = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{out}\n{err}");
    let end = "finished (success): 0 idle, 0 of 10 in progress, 39 successful, 1 failed";
    // Then whom to look after, and why.
    let after = out.split_once(end).expect("it says how it ended").1;
    let story = after.trim_start().lines().next().expect("it tells a story");
    let failed = ": failed, system_rollback";
    assert!(
        story.starts_with("02:00:00:00:00:0d") && story.ends_with(failed),
        "{out}"
    );
}
