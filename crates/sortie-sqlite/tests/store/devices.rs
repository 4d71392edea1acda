//! The device table.

use sortie_core::{Device, DeviceId, SystemModelId, Timestamp};
use sortie_ports::{DevicePage, Inventory, InventoryError};
use sortie_sqlite::{Devices, Sqlite};

use crate::kit::{auditor, folder, fresh, wait};

fn id(id: &str) -> DeviceId {
    DeviceId::new(id).unwrap()
}

fn device(id: &str, model: &str) -> Device {
    Device::new(id, model).unwrap()
}

/// All pages of a System Model, each of at most `limit`.
fn pages(devices: &Devices, model: &str, limit: usize) -> Vec<Vec<String>> {
    let mut want = DevicePage::first(SystemModelId::new(model).unwrap(), limit);
    let mut pages = vec![];
    loop {
        let page = wait(devices.page(&want)).unwrap();
        pages.push(page.iter().map(|device| device.id().to_string()).collect());
        if page.len() < limit {
            return pages;
        }
        want = want.following(page.last().unwrap().id().clone());
    }
}

#[test]
fn devices_are_put_replaced_found_counted_and_removed_and_survive_a_restart() {
    let (_folder, path) = folder();
    let store = wait(Sqlite::open(&path)).unwrap();
    let devices = store.devices();
    let full = device("aa:bb", "gateway-g2")
        .tag("pilot")
        .tag("say \"hi\"")
        .attribute("site", "Zürich")
        .attribute("volts", 0.1 + 0.2)
        .attribute("edge", f64::MIN_POSITIVE)
        .attribute("floor", 5)
        .attribute("custom:serial", (1_i64 << 53) + 1)
        .attribute("custom:serviced", Timestamp(1_767_323_045_678))
        .attribute("custom:key", vec![0, 255, 7])
        .attribute("spare", false)
        .attribute("truth", "true");
    wait(devices.put([full.clone(), device("gw-1", "gateway-g2")])).unwrap();
    wait(devices.put([device("gw-1", "gateway-g1").tag("moved")])).unwrap();
    drop((store, devices));

    let store = wait(Sqlite::open(&path)).unwrap();
    let devices = store.devices();
    assert_eq!(wait(devices.get(&id("aa:bb"))).unwrap(), Some(full));
    let moved = wait(devices.get(&id("gw-1"))).unwrap().unwrap();
    assert_eq!(moved, device("gw-1", "gateway-g1").tag("moved"));
    assert_eq!(pages(&devices, "gateway-g2", 10), [["aa:bb"]]);
    assert_eq!(wait(devices.count()).unwrap(), 2);
    assert!(wait(devices.remove(&id("gw-1"))).unwrap());
    assert!(!wait(devices.remove(&id("gw-1"))).unwrap());
    assert_eq!(wait(devices.get(&id("gw-1"))).unwrap(), None);
    assert_eq!(wait(devices.count()).unwrap(), 1);
}

#[test]
fn pages_hold_each_device_of_the_model_once_in_order() {
    let (_folder, store) = fresh();
    let devices = store.devices();
    let all = (0..2_500).map(|n| {
        let model = if n % 2 == 0 { "even" } else { "odd" };
        device(&format!("gw-{n:05}"), model)
    });
    wait(devices.put(all)).unwrap();
    let even: Vec<String> = (0..1_250).map(|n| format!("gw-{:05}", 2 * n)).collect();
    for limit in [1_249, 1_250, 1_251, 100, usize::MAX] {
        let pages = pages(&devices, "even", limit);
        assert!(pages.iter().all(|page| page.len() <= limit));
        assert_eq!(pages.concat(), even, "{limit}");
    }
    assert_eq!(pages(&devices, "neither", 3), [[""; 0]]);
    let asked = ["gw-00001", "gw-99999", "gw-02499"].map(id);
    assert_eq!(wait(devices.exist(&asked)).unwrap(), [true, false, true]);
}

#[test]
fn a_device_that_could_not_be_read_again_is_refused_by_name_before_any_is_put() {
    let (_folder, store) = fresh();
    let devices = store.devices();
    for (bad, why) in [
        (device("bad", "m").attribute("x", f64::NAN), "NaN"),
        (device("bad", "m").tag(&"x".repeat(70_000)), "70000 bytes"),
        (
            device("bad", "m").attribute("x", vec![0; 70_000]),
            "70001 bytes",
        ),
    ] {
        let refused = wait(devices.put([device("good", "m"), bad])).unwrap_err();
        assert!(matches!(refused, InventoryError::BadRow(_)), "{refused}");
        let text = refused.to_string();
        assert!(text.contains("bad") && text.contains(why), "{text}");
    }
    assert_eq!(wait(devices.count()).unwrap(), 0);
}

#[test]
fn a_row_that_was_put_by_hand_and_is_no_device_is_named() {
    let (_folder, store) = fresh();
    let auditor = auditor(store.path());
    for (row, why) in [
        ("'gw 1', 'm', '[]', '{}'", "gw 1"),
        ("'gw-2', 'm', 'pilot', '{}'", "gw-2"),
        ("'gw-3', 'm', '[]', '{\"a\":[]}'", "gw-3"),
        (
            "'gw-4', 'm', '[]', '{\"a\":{\"datetime\":\"soon\"}}'",
            "gw-4",
        ),
    ] {
        auditor.execute_batch("DELETE FROM devices").unwrap();
        let insert = format!("INSERT INTO devices VALUES ({row})");
        auditor.execute_batch(&insert).unwrap();
        let want = DevicePage::first(SystemModelId::new("m").unwrap(), 10);
        let refused = wait(store.devices().page(&want)).unwrap_err();
        assert!(matches!(refused, InventoryError::BadRow(_)), "{refused}");
        assert!(refused.to_string().contains(why), "{refused}");
    }
}
