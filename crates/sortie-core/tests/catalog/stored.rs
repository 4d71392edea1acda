//! The stored form: what was recorded once is read for ever.

use sortie_core::{
    CatalogEvent, CatalogState, Timestamp,
    catalog::{Catalog, NewBaseImage, NewChannel, NewCollection, NewSystemModel},
};

use crate::{artifact, both, declare, draft};

/// As the first version wrote it, before there were names, texts and System Models of their own.
const FIRST: &str = r#"[
    {"type":"CatalogOwnerChanged","epoch":1,"nonce":"00000000-0000-0000-0000-000000000001"},
    {"type":"CollectionDeclared","collection":"gateway-os","systemModel":"gateway-g2"},
    {"type":"BaseImageDeclared","collection":"gateway-os","version":"1.4.0","artifact":{"url":"http://127.0.0.1/a.bin","size":10,"sha256":"0101010101010101010101010101010101010101010101010101010101010101"},"startingVersionRequirement":">= 1.0.0"},
    {"type":"GroupDeclared","group":"pilot","selector":"\"pilot\" in tags"},
    {"type":"GroupDeclared","group":"lab","devices":["gw-2","gw-1"]},
    {"type":"ChannelDeclared","channel":"pilot","groups":["pilot","lab"]},
    {"type":"DeviceClaimRaised","device":"gw-1","claim":7}
]"#;

#[test]
fn a_log_of_the_first_version_folds_to_what_the_same_draft_declares_now() {
    let events: Vec<CatalogEvent> = serde_json::from_str(FIRST).unwrap();
    let mut state = CatalogState::default();
    for event in &events {
        state.apply(Timestamp(0), event);
    }
    let same = Catalog::new()
        .collection("gateway-os", "gateway-g2")
        .with(
            NewBaseImage::new("gateway-os@1.4.0", artifact(1))
                .starting_version_requirement(">= 1.0.0"),
        )
        .group("pilot", r#""pilot" in tags"#)
        .group_of("lab", &["gw-2", "gw-1"])
        .channel("pilot", &["pilot", "lab"]);
    assert_eq!(same.plan(&state).unwrap(), []);
    assert!(
        state
            .system_models()
            .contains_key("gateway-g2".parse().as_ref().unwrap())
    );
    // And what says no more than could be said then is written as it was then.
    let written = same.plan(&CatalogState::default()).unwrap();
    let written = serde_json::to_value(&written).unwrap();
    let mut first: serde_json::Value = serde_json::from_str(FIRST).unwrap();
    let first = first.as_array_mut().unwrap();
    first.remove(0);
    first.pop();
    first[3]["devices"] = serde_json::json!(["gw-1", "gw-2"]);
    assert_eq!(written.as_array().unwrap(), first);
}

#[test]
fn every_event_reads_back_from_its_json() {
    let image = NewBaseImage::new("gateway-os@1.5.0", artifact(1))
        .display_name("en", "a")
        .description("pt-BR", "b")
        .release_notes("zh-Hans", "c \"quoted\"\n");
    let more = draft()
        .with(NewSystemModel::new("gateway-g2").name("n").part_number("p"))
        .with(NewCollection::new("other", "m2").name("n"))
        .with(image)
        .with(both("both").name("n"))
        .with(NewChannel::new("named", &["both"]).name("n"));
    let mut state = CatalogState::default();
    let mut events = declare(&mut state, &more).unwrap();
    // In the order in which nothing uses what goes.
    let items: [sortie_core::CatalogItem; 5] = [
        "pilot".parse::<sortie_core::ChannelId>().unwrap().into(),
        "lab".parse::<sortie_core::GroupId>().unwrap().into(),
        "gateway-os@1.5.0"
            .parse::<sortie_core::BaseImageId>()
            .unwrap()
            .into(),
        "other".parse::<sortie_core::CollectionId>().unwrap().into(),
        "m2".parse::<sortie_core::SystemModelId>().unwrap().into(),
    ];
    for item in items {
        let event = state.delete(&item, &[]).unwrap();
        state.apply(Timestamp(0), &event);
        events.push(event);
    }
    let kinds: std::collections::BTreeSet<_> = events
        .iter()
        .map(|event| serde_json::to_value(event).unwrap()["type"].to_string())
        .collect();
    assert_eq!(
        kinds.len(),
        10,
        "all but those of nodes and claims: {kinds:?}"
    );
    for event in events {
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(
            serde_json::from_str::<CatalogEvent>(&json).unwrap(),
            event,
            "{json}"
        );
    }
}
