//! Deleting (T4).

use sortie_core::{
    BaseImageId, CampaignEvent, CampaignId, CatalogItem, CatalogState, CatalogUser, ChannelId,
    CollectionId, GroupId, ManualUpdateId, Rejection, State, StreamId, SystemModelId, TargetIndex,
    TargetReason, Timestamp,
    campaign::{End, ImageCopy, ManualUpdate, NewManualUpdate},
    catalog::{Catalog, Use},
};

use crate::{Stage, campaign, declared, draft, new_campaign, uses};

fn image() -> CatalogItem {
    "gateway-os@1.4.0".parse::<BaseImageId>().unwrap().into()
}
fn channel() -> CatalogItem {
    "pilot".parse::<ChannelId>().unwrap().into()
}
fn group() -> CatalogItem {
    "lab".parse::<GroupId>().unwrap().into()
}
fn collection() -> CatalogItem {
    "gateway-os".parse::<CollectionId>().unwrap().into()
}
fn model() -> CatalogItem {
    "gateway-g2".parse::<SystemModelId>().unwrap().into()
}

fn at(stage: Stage) -> State {
    campaign(
        CampaignId::from_name("c"),
        "gateway-os@1.4.0",
        "pilot",
        stage,
    )
}

#[test]
fn t4_an_image_goes_when_its_campaigns_are_over_a_channel_when_they_have_started() {
    let state = declared(&draft());
    let campaign = CatalogUser::Campaign(CampaignId::from_name("c"));
    for (stage, image_goes, channel_goes) in [
        (Stage::Created, false, false),
        (Stage::Started, false, true),
        (Stage::Draining, false, true),
        (Stage::Over, true, true),
        (Stage::Deleted, true, true),
    ] {
        let held = uses(&[at(stage)]);
        for (item, goes) in [(image(), image_goes), (channel(), channel_goes)] {
            let answer = state.delete(&item, &held).map(drop);
            let users = vec![campaign.clone()];
            let expected = if goes {
                Ok(())
            } else {
                Err(Rejection::InUse { item, users })
            };
            assert_eq!(answer, expected, "{stage:?}");
        }
    }
}

#[test]
fn t4_the_refusal_names_all_users_and_its_text_the_first_ten() {
    let state = declared(&draft());
    let ids: Vec<_> = (0..12)
        .map(|n| CampaignId::from_name(&n.to_string()))
        .collect();
    let campaign = |id: &CampaignId| campaign(*id, "gateway-os@1.4.0", "pilot", Stage::Started);
    let one = state
        .delete(&image(), &uses(&[campaign(&ids[0])]))
        .unwrap_err();
    assert_eq!(
        one.to_string(),
        format!(
            "cannot delete base image gateway-os@1.4.0: campaign {} uses it",
            ids[0]
        )
    );
    let mut all: Vec<_> = ids.iter().map(campaign).collect();
    all.extend(ids.iter().map(campaign));
    let error = state.delete(&image(), &uses(&all)).unwrap_err();
    let text = error.to_string();
    let Rejection::InUse { users, .. } = error else {
        panic!("{text}")
    };
    assert_eq!(users.len(), 12, "each once");
    assert_eq!(
        ids.iter()
            .filter(|id| text.contains(&id.to_string()))
            .count(),
        10
    );
    assert!(text.ends_with("and 2 more use it"), "{text}");
}

#[test]
fn t4_what_a_campaign_does_not_use_it_does_not_hold() {
    let more = draft()
        .base_image("gateway-os@1.5.0", crate::artifact(2))
        .channel("all", &["lab"]);
    let state = declared(&more);
    let uses = uses(&[at(Stage::Created)]);
    let other: BaseImageId = "gateway-os@1.5.0".parse().unwrap();
    assert!(state.delete(&other.into(), &uses).is_ok());
    assert!(
        state
            .delete(&"all".parse::<ChannelId>().unwrap().into(), &uses)
            .is_ok()
    );
}

#[test]
fn t4_a_campaign_that_is_being_made_or_can_not_be_read_holds_too() {
    let state = declared(&draft());
    let id = CampaignId::from_name("c");
    let made = Use::of_draft(id, &new_campaign("gateway-os@1.4.0", "pilot"));
    let unread = Use::unread(StreamId::Campaign(id));
    for one in [made, unread.clone()] {
        for item in [image(), channel()] {
            let error = state.delete(&item, std::slice::from_ref(&one)).unwrap_err();
            assert!(error.to_string().contains(&id.to_string()), "{error}");
        }
    }
    let text = state.delete(&image(), &[unread]).unwrap_err().to_string();
    assert!(text.contains("can't be read"), "{text}");
}

#[test]
fn t4_what_the_catalog_itself_uses_goes_last() {
    let mut state = declared(&draft());
    let refused = |state: &CatalogState, item: &CatalogItem, user: &str| {
        let error = state.delete(item, &[]).unwrap_err().to_string();
        assert_eq!(error, format!("cannot delete {item}: {user} uses it"));
    };
    let delete = |state: &mut CatalogState, item: &CatalogItem| {
        let event = state.delete(item, &[]).unwrap();
        state.apply(Timestamp(0), &event);
        let gone = Rejection::NotDeclared { item: item.clone() };
        assert_eq!(gone.to_string(), format!("there is no {item}"));
        assert_eq!(state.delete(item, &[]), Err(gone));
    };
    refused(&state, &group(), "channel pilot");
    delete(&mut state, &channel());
    delete(&mut state, &group());
    refused(&state, &model(), "collection gateway-os");
    refused(&state, &collection(), "base image gateway-os@1.4.0");
    delete(&mut state, &image());
    refused(&state, &model(), "collection gateway-os");
    delete(&mut state, &collection());
    delete(&mut state, &model());
    // What is declared again is there again; the Channel and its other Group as before.
    assert_eq!(draft().plan(&state).unwrap().len(), 4);
    assert_eq!(
        Catalog::new()
            .group("pilot", "\"pilot\" in tags")
            .plan(&state)
            .unwrap(),
        []
    );
}

#[test]
fn t4_an_image_that_was_deleted_may_be_declared_anew_with_another_digest() {
    let mut state = declared(&draft());
    let again = Catalog::new().base_image("gateway-os@1.4.0", crate::artifact(2));
    assert!(again.plan(&state).is_err());
    let event = state.delete(&image(), &[]).unwrap();
    state.apply(Timestamp(0), &event);
    assert!(again.plan(&state).is_ok());
}

#[test]
fn t4_a_manual_update_holds_its_image_until_it_has_ended() {
    let catalog = declared(&draft());
    let BaseImageId { version, .. } = "gateway-os@1.4.0".parse().unwrap();
    let copy = ImageCopy::new(version, "m".parse().unwrap(), crate::artifact(1), None);
    let id = ManualUpdateId::from_name("m");
    let of = |update: &ManualUpdate, ended: bool| {
        let mut folded = State::of(StreamId::Manual(id));
        let update = Box::new(update.clone());
        folded.apply(
            Timestamp(1),
            &CampaignEvent::ManualUpdateRequested { update },
        );
        let ended = ended.then_some(CampaignEvent::TargetFailed {
            target: TargetIndex(0),
            reason: TargetReason::Expired,
            end: End::NotSent,
            word: None,
            decided_on: None,
            system_model: None,
            refusal: None,
        });
        if let Some(event) = ended {
            folded.apply(Timestamp(2), &event);
        }
        folded
    };
    let device = || "gw-1".parse().unwrap();
    let sends = NewManualUpdate::base_image(device(), "gateway-os@1.4.0".parse().unwrap());
    let sends = sends.validate(Some(copy)).unwrap();
    let other = NewManualUpdate::url(device(), crate::artifact(1));
    let other = other.validate(None).unwrap();
    let refused = catalog.delete(&image(), &uses(&[of(&sends, false)]));
    let users = vec![CatalogUser::ManualUpdate(id)];
    let expected = Rejection::InUse {
        item: image(),
        users,
    };
    assert_eq!(refused, Err(expected));
    for state in [of(&sends, true), of(&other, false)] {
        assert!(catalog.delete(&image(), &uses(&[state])).is_ok());
    }
}
