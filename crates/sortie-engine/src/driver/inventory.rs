//! Resolving a Channel: paging through the inventory (S2).

use std::{collections::HashSet, time::Duration};

use sortie_core::{DeviceId, SystemModelId};
use sortie_ports::{Clock, DevicePage, Inventory, InventoryError};

use super::guard::{unpanicked, until};
use crate::{node::Resolve, text::full_text};

/// How many devices are asked for at once.
const PAGE: usize = 1_000;

/// A page that has not come by then is given up; the start is tried again later.
const PAGE_LIMIT: Duration = Duration::from_secs(30);

/// Whether each of `ids` exists; or why it can't say.
pub(super) async fn exist(
    inventory: &dyn Inventory,
    clock: &dyn Clock,
    ids: &[DeviceId],
) -> Result<Vec<bool>, String> {
    answer(clock, inventory.exist(ids)).await
}

/// What the inventory has of one device.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) exists: bool,
    /// If it is known.
    pub(super) system_model: Option<SystemModelId>,
}

/// Looks one device up; or why it can't say.
pub(super) async fn look_up(
    inventory: &dyn Inventory,
    clock: &dyn Clock,
    id: &DeviceId,
) -> Result<Found, String> {
    let exists = exist(inventory, clock, std::slice::from_ref(id)).await?;
    Ok(Found {
        exists: exists == [true],
        system_model: answer(clock, inventory.system_model(id)).await?,
    })
}

/// What the inventory answers, or why it does not.
async fn answer<T>(
    clock: &dyn Clock,
    asked: impl Future<Output = Result<T, InventoryError>>,
) -> Result<T, String> {
    until(clock, clock.monotonic() + PAGE_LIMIT, unpanicked(asked))
        .await
        .ok_or_else(|| "the inventory did not answer within 30 s".to_owned())?
        .map_err(|panic| format!("the inventory panicked: {panic}"))?
        .map_err(|error| full_text(&error))
}

/// The devices that `want` means, each once, in the inventory's order; or why it can't say.
pub(super) async fn resolve(
    inventory: &dyn Inventory,
    clock: &dyn Clock,
    want: &Resolve,
) -> Result<Vec<DeviceId>, String> {
    // One `now()` for all pages.
    let now = clock.now();
    let mut page = DevicePage::first(want.system_model.clone(), PAGE);
    let mut seen = HashSet::new();
    let mut targets = vec![];
    loop {
        let devices = answer(clock, async { inventory.page(&page).await }).await?;
        let is_last = devices.len() < page.limit;
        let last = devices.last().map(|device| device.id().clone());
        let seen_before = seen.len();
        for device in devices {
            let wanted = *device.system_model() == want.system_model
                && want.groups.iter().any(|group| group.contains(&device, now));
            if seen.insert(device.id().clone()) && wanted {
                targets.push(device.id().clone());
            }
        }
        let Some(last) = last.filter(|_| !is_last) else {
            return Ok(targets);
        };
        if seen.len() == seen_before {
            // It would go on for ever.
            return Err(format!(
                "the inventory repeats itself: its page that ends with {last} has no new device"
            ));
        }
        page = page.following(last);
    }
}

#[cfg(test)]
mod tests {
    use sortie_core::{Device, SystemModelId, Timestamp, catalog::Group};
    use sortie_ports::{InventoryError, MemoryInventory, async_trait};

    use super::*;
    use crate::driver::SystemClock;

    fn want(groups: &[&str]) -> Resolve {
        let group = |selector: &&str| Group {
            selector: Some(selector.parse().unwrap()),
            ..Group::default()
        };
        Resolve {
            system_model: SystemModelId::new("m").unwrap(),
            groups: groups.iter().map(group).collect(),
        }
    }

    /// Hands out what it was given, page by page, whatever is asked.
    #[derive(Debug)]
    struct Scripted(fn(Option<&str>, usize) -> Result<Vec<Device>, InventoryError>);

    #[async_trait]
    impl Inventory for Scripted {
        async fn page(&self, want: &DevicePage) -> Result<Vec<Device>, InventoryError> {
            (self.0)(want.after.as_ref().map(DeviceId::as_str), want.limit)
        }

        async fn exist(&self, ids: &[DeviceId]) -> Result<Vec<bool>, InventoryError> {
            Ok(vec![true; ids.len()])
        }
    }

    fn id(id: &str) -> DeviceId {
        DeviceId::new(id).unwrap()
    }

    async fn run(inventory: &dyn Inventory, want: &Resolve) -> Result<Vec<DeviceId>, String> {
        resolve(inventory, &SystemClock::new(), want).await
    }

    #[tokio::test]
    async fn t2_devices_of_any_of_the_groups_are_targets_once_over_all_pages() {
        let inventory = MemoryInventory::new();
        inventory.put((0..2_500).map(|n| {
            let device = Device::new(&format!("d-{n:04}"), "m").unwrap();
            let device = if n % 2 == 0 {
                device.tag("even")
            } else {
                device
            };
            if n % 3 == 0 {
                device.tag("third")
            } else {
                device
            }
        }));
        inventory.put([Device::new("other", "n").unwrap().tag("even")]);
        let want = want(&["\"even\" in tags", "\"third\" in tags"]);
        let targets = run(&inventory, &want).await.unwrap();
        let expected = (0..2_500).filter(|n| n % 2 == 0 || n % 3 == 0).count();
        assert_eq!(targets.len(), expected);
        assert!(targets.is_sorted());
    }

    #[tokio::test]
    async fn t3_now_in_a_selector_is_the_wall_time_of_the_resolve() {
        let inventory = MemoryInventory::new();
        inventory.put([("past", 1), ("future", i64::MAX)].map(|(id, ms)| {
            let device = Device::new(id, "m").unwrap();
            device.attribute("custom:serviced", Timestamp(ms))
        }));
        let due = want(&[r#"attributes["custom:serviced"] < now()"#]);
        assert_eq!(run(&inventory, &due).await.unwrap(), [id("past")]);
        let ahead = want(&[r#"attributes["custom:serviced"] > now()"#]);
        assert_eq!(run(&inventory, &ahead).await.unwrap(), [id("future")]);
    }

    #[tokio::test]
    async fn a_page_may_hold_more_than_was_asked_and_the_same_device_again() {
        let inventory = Scripted(|after, limit| {
            let device = |n: usize, model| Device::new(&format!("d-{n}"), model).unwrap().tag("x");
            Ok(match after {
                None => (0..=limit).map(|n| device(n, "m")).collect(),
                Some(_) => vec![device(0, "m"), device(7_000, "n"), device(7_001, "m")],
            })
        });
        let targets = run(&inventory, &want(&["\"x\" in tags"])).await.unwrap();
        assert_eq!(targets.len(), 1_002);
    }

    #[tokio::test]
    async fn an_inventory_that_ignores_where_a_page_begins_is_an_error_not_a_loop() {
        let inventory = Scripted(|_, limit| {
            Ok((0..limit)
                .map(|n| Device::new(&format!("d-{n}"), "m").unwrap())
                .collect())
        });
        let error = run(&inventory, &want(&[])).await.unwrap_err();
        assert!(error.contains("d-999"), "{error}");
    }

    #[tokio::test]
    async fn a_bad_row_and_a_panic_are_errors_that_say_what_was_wrong() {
        let bad = Scripted(|_, _| Ok(vec![Device::new("gw 1", "m")?]));
        let error = run(&bad, &want(&[])).await.unwrap_err();
        assert!(error.contains("gw 1"), "{error}");
        let panics = Scripted(|_, _| panic!("no table"));
        let error = run(&panics, &want(&[])).await.unwrap_err();
        assert!(error.contains("no table"), "{error}");
    }
}
