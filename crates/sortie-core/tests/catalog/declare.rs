//! Declaring: T1, T2, T4, S3.

use sortie_core::{
    CatalogEvent, Device, Timestamp,
    catalog::{
        Catalog, CatalogState, NewBaseImage, NewChannel, NewCollection, NewGroup, NewSystemModel,
    },
};

use crate::{artifact, both, declare, declared, draft, fields};

#[test]
fn t4_declaring_the_same_again_writes_nothing_and_a_difference_only() {
    let state = declared(&draft());
    assert_eq!(draft().plan(&state).unwrap(), []);
    let more = draft().channel("all", &["pilot"]);
    assert_eq!(more.plan(&state).unwrap().len(), 1);
}

#[test]
fn t4_an_image_declared_with_another_digest_is_refused_and_both_are_named() {
    let state = declared(&draft());
    let again = Catalog::new().base_image("gateway-os@1.4.0", artifact(2));
    let error = again.plan(&state).unwrap_err().to_string();
    assert!(error.contains("0101") && error.contains("0202"), "{error}");
    let mut longer = artifact(1);
    longer.size += 1;
    let again = Catalog::new().base_image("gateway-os@1.4.0", longer);
    let error = again.plan(&state).unwrap_err().to_string();
    assert!(
        error.contains("10 bytes") && error.contains("11 bytes"),
        "{error}"
    );
}

#[test]
fn t4_texts_url_and_requirement_of_an_image_may_change() {
    let image = || NewBaseImage::new("gateway-os@1.4.0", artifact(1));
    let mut moved = artifact(1);
    moved.url = "https://cdn.example.com/a.bin".into();
    let mut state = declared(&draft());
    for change in [
        image().starting_version_requirement(">= 1.2.0"),
        image().display_name("EN", "Gateway one four"),
        image().description("pt-br", "Um gateway."),
        image().release_notes("en", "Two\nlines."),
        NewBaseImage::new("gateway-os@1.4.0", moved),
        image(),
    ] {
        let change = Catalog::new().with(change);
        assert_eq!(declare(&mut state, &change).unwrap().len(), 1);
        assert_eq!(declare(&mut state, &change).unwrap(), []);
    }
    let image = &state.base_images()[&"gateway-os@1.4.0".parse().unwrap()];
    assert!(image.display_names.is_empty(), "what is left out is gone");
}

#[test]
fn t4_the_name_of_anything_may_change_and_go() {
    let mut state = declared(&draft());
    for name in ["One", "Two", ""] {
        let named = |kind: usize| match (kind, name) {
            (0, "") => Catalog::new().with(NewSystemModel::new("gateway-g2")),
            (0, _) => Catalog::new().with(NewSystemModel::new("gateway-g2").name(name)),
            (1, "") => Catalog::new().collection("gateway-os", "gateway-g2"),
            (1, _) => {
                Catalog::new().with(NewCollection::new("gateway-os", "gateway-g2").name(name))
            }
            (2, "") => Catalog::new().with(NewGroup::new("lab")),
            (2, _) => Catalog::new().with(NewGroup::new("lab").name(name)),
            (_, "") => Catalog::new().channel("pilot", &["lab"]),
            (..) => Catalog::new().with(NewChannel::new("pilot", &["lab"]).name(name)),
        };
        for kind in 0..4 {
            let events = declare(&mut state, &named(kind)).unwrap();
            let json = serde_json::to_value(&events).unwrap();
            assert_eq!(events.len(), 1, "{kind}: {json}");
            let expected = Some(name).filter(|name| !name.is_empty());
            assert_eq!(json[0]["name"].as_str(), expected, "{kind}: {json}");
            assert_eq!(named(kind).plan(&state).unwrap(), []);
        }
    }
}

#[test]
fn t1_a_system_model_has_at_most_one_collection_and_a_collection_keeps_its_system_model() {
    let state = declared(&draft());
    let other = Catalog::new().collection("other", "gateway-g2");
    let error = other.plan(&state).unwrap_err();
    assert_eq!(fields(&error), ["collections.other.system_model"]);
    assert!(error.to_string().contains("gateway-os already"), "{error}");
    let moved = Catalog::new().collection("gateway-os", "gateway-g3");
    let error = moved.plan(&state).unwrap_err().to_string();
    assert!(
        error.contains("gateway-g2") && error.contains("gateway-g3"),
        "{error}"
    );
}

#[test]
fn t1_a_collection_declares_its_system_model_and_takes_nothing_from_it() {
    let model = NewSystemModel::new("gateway-g2")
        .name("Gateway")
        .part_number("GW-2");
    let mut state = declared(&Catalog::new().with(model.clone()));
    let events = declare(&mut state, &draft()).unwrap();
    assert!(matches!(events[0], CatalogEvent::CollectionDeclared { .. }));
    let before = state.system_models().clone();
    assert_eq!(
        before[&"gateway-g2".parse().unwrap()].name.as_deref(),
        Some("Gateway")
    );
    // And the other way round: what the Collection declared gets its part numbers later.
    let mut state = declared(&draft());
    assert_eq!(state.system_models().len(), 1);
    declare(&mut state, &Catalog::new().with(model)).unwrap();
    assert_eq!(*state.system_models(), before);
}

#[test]
fn t1_a_part_number_belongs_to_one_system_model() {
    let model = |handle, number| NewSystemModel::new(handle).part_number(number);
    let mut state = declared(&Catalog::new().with(model("a", "PN 1")));
    let taken = Catalog::new().with(model("b", "PN 1"));
    let error = taken.plan(&state).unwrap_err();
    assert_eq!(fields(&error), ["system_models.b.part_numbers"]);
    assert!(error.to_string().contains("\"PN 1\" is a's"), "{error}");
    // In one draft as well; and once the first has let go of it, the other may have it.
    let moved = Catalog::new()
        .with(model("a", "PN 2"))
        .with(model("b", "PN 1"));
    assert_eq!(declare(&mut state, &moved).unwrap().len(), 2);
    let both = Catalog::new()
        .with(model("c", "PN 3"))
        .with(model("d", "PN 3"));
    assert_eq!(
        fields(&both.plan(&state).unwrap_err()),
        ["system_models.d.part_numbers"]
    );
}

#[test]
fn t2_a_group_holds_what_its_selector_or_its_list_says_or_both() {
    let catalog = Catalog::new()
        .group("selector", r#""pilot" in tags"#)
        .group_of("list", &["gw-2", "gw-1"])
        .with(both("both"));
    let state = declared(&catalog);
    let device = |id: &str| Device::new(id, "gateway-g2").unwrap();
    for (group, listed, tagged) in [
        ("selector", false, true),
        ("list", true, false),
        ("both", true, true),
    ] {
        let group = &state.groups()[&group.parse().unwrap()];
        assert_eq!(group.contains(&device("gw-1"), Timestamp(0)), listed);
        assert_eq!(
            group.contains(&device("gw-9").tag("pilot"), Timestamp(0)),
            tagged
        );
        assert!(group.contains(&device("gw-1").tag("pilot"), Timestamp(0)));
        assert!(!group.contains(&device("gw-9"), Timestamp(0)));
    }
}

#[test]
fn t2_a_channel_is_a_set_of_groups_and_a_device_in_two_of_them_is_held() {
    let state = declared(&draft());
    let groups = state.groups_of(&"pilot".parse().unwrap()).unwrap();
    assert_eq!(groups.len(), 2);
    let device = |id: &str| Device::new(id, "gateway-g2").unwrap();
    let held = |d: &Device| groups.iter().any(|g| g.contains(d, Timestamp(0)));
    assert!(held(&device("gw-1").tag("pilot")));
    assert!(held(&device("gw-1")) && held(&device("gw-9").tag("pilot")) && !held(&device("gw-9")));
}

#[test]
fn s3_all_errors_of_a_draft_are_reported_at_once_each_by_field() {
    let bad = NewBaseImage::new(
        "nothing@1.0.0",
        crate::Artifact::new("ftp://x", 0, artifact(0).sha256),
    )
    .starting_version_requirement("soon")
    .display_name("english!", "x")
    .display_name("en", " ")
    .display_name("EN", "x\ny");
    let draft = Catalog::new()
        .with(NewSystemModel::new("m").name("").part_number("\t"))
        .with(NewCollection::new("bad handle", "m").name(" "))
        .with(bad)
        .group("g", "\"x\" in tag")
        .group_of("h", &["gw 1", "gw-2", "gw:3", ""])
        .with(NewChannel::new("c", &["none", "g g"]).name("\n"));
    let error = draft.plan(&CatalogState::default()).unwrap_err();
    assert_eq!(
        fields(&error),
        [
            "system_models.m.name",
            "system_models.m.part_numbers",
            "system_models.m.part_numbers",
            "collections.bad handle",
            "collections.bad handle.name",
            "base_images.nothing@1.0.0.url",
            "base_images.nothing@1.0.0.size",
            "base_images.nothing@1.0.0.starting_version_requirement",
            "base_images.nothing@1.0.0.display_names.EN",
            "base_images.nothing@1.0.0.display_names.en",
            "base_images.nothing@1.0.0.display_names.en",
            "base_images.nothing@1.0.0.display_names.english!",
            "base_images.nothing@1.0.0",
            "groups.g.selector",
            "groups.h.devices",
            "groups.h.devices",
            "channels.c.name",
            "channels.c.name",
            "channels.c.groups",
            "channels.c.groups",
        ],
        "{error}"
    );
}

#[test]
fn s3_a_draft_that_contradicts_itself_is_refused_and_one_that_repeats_itself_is_not() {
    let twice = draft().channel("pilot", &["pilot", "lab", "pilot"]);
    assert_eq!(twice.plan(&declared(&draft())).unwrap(), []);
    let contrary = draft().channel("pilot", &["lab"]);
    let error = contrary.plan(&CatalogState::default()).unwrap_err();
    assert_eq!(fields(&error), ["channels.pilot"]);
}

#[test]
fn a_draft_reads_back_from_its_json() {
    let json = serde_json::to_value(draft()).unwrap();
    assert_eq!(json[0]["collection"]["systemModel"], "gateway-g2", "{json}");
    assert_eq!(serde_json::from_value::<Catalog>(json).unwrap(), draft());
}
