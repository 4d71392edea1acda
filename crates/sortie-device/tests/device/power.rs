//! Power cuts at every flash operation of an update, torn in every way.

use std::time::Duration;

use sortie_flash::{Fault, Tear};
use sortie_protocol::{Reason, Report, Status, StatusCode, Uuid};

use crate::{
    rig::{Rig, image, update},
    server::Server,
};

const OPERATION: Uuid = Uuid::from_u128(7);
const PAGES: u32 = 9;

/// One update, with `fault` at flash operation `at`; the operations that it took.
async fn updated(server: &Server, new: &[u8], healthy: bool, at: u64, fault: Fault) -> (Rig, u64) {
    let mut rig = Rig::new(&image("1.0.0", 9_000));
    rig.healthy = healthy;
    rig.settings.backoff_min = Duration::from_millis(1);
    let before = rig.chip.lock().stats().operations;
    rig.chip.lock().inject(before + at, fault);
    rig.broker.ask(update(1, 7, &server.url(), new, "2.0.0"));
    rig.live_until(rig.broker.ended(OPERATION)).await;
    let took = rig.chip.lock().stats().operations - before;
    (rig, took)
}

/// What was reported is one result, and true of the flash.
fn check(rig: &Rig, healthy: bool, case: &str) {
    let told = rig.broker.registers().told.clone();
    let ends: Vec<&Report> = told.iter().filter(|r| r.status.is_terminal()).collect();
    assert!(ends.iter().all(|r| *r == ends[0]), "{case}: {ends:?}");
    let installed = rig.installed();
    if ends[0].status == Status::Success {
        assert_eq!((installed.as_str(), healthy), ("2.0.0", true), "{case}");
    } else {
        assert_eq!(installed, "1.0.0", "{case}: {ends:?}");
        let rollback = Some(StatusCode::SystemRollback);
        assert_eq!(ends[0].code, rollback, "{case}: {ends:?}");
        let trial_failed = ends[0].reason == Some(Reason::TrialFailed);
        assert!(trial_failed || !healthy, "{case}: {ends:?}");
    }
    // Nothing that was written whole is erased again: at most the page that was torn.
    let erases: u32 = rig.spare_wear().iter().sum();
    assert!(erases <= PAGES + 1, "{case}: {erases} erases");
    assert_eq!(rig.chip.lock().stats().breaches, 0, "{case}");
}

#[tokio::test]
async fn a_power_cut_at_any_flash_operation_leaves_one_true_result() {
    let new = image("2.0.0", 9_000);
    let server = Server::start(&new).await;
    for healthy in [true, false] {
        let none = Fault::CutBefore;
        let (rig, operations) = updated(&server, &new, healthy, u64::MAX / 2, none).await;
        check(&rig, healthy, "no fault");
        let (mut successes, mut struck) = (0, 0);
        let faults = [Fault::CutBefore, Fault::CutAfter];
        let torn = Tear::ALL.map(Fault::CutTorn);
        for fault in faults.into_iter().chain(torn) {
            for at in 0..operations {
                let (rig, _) = updated(&server, &new, healthy, at, fault).await;
                struck += rig.chip.lock().stats().faults;
                check(&rig, healthy, &format!("{fault:?} at {at}"));
                successes += u32::from(rig.installed() == "2.0.0");
            }
        }
        println!("{operations} operations, {struck} cuts, {successes} updated");
        // A run that the network lets take fewer operations may end before its cut.
        assert!(struck > operations * 6 * 9 / 10);
        assert_eq!(successes > 0, healthy);
    }
}
