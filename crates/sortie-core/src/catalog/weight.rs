//! How much an event takes in the log, at most.

use super::CatalogEvent;

/// Field names and whatever else has a bounded size.
const FIXED_BYTES: usize = 1_024;

/// An upper bound of the event's length as JSON. Core has no JSON of its own to ask.
pub(super) fn weight(event: &CatalogEvent) -> usize {
    let name = |name: &Option<String>| name.as_deref().map_or(0, quoted);
    FIXED_BYTES
        + match event {
            CatalogEvent::SystemModelDeclared {
                name: named,
                part_numbers,
                ..
            } => name(named) + part_numbers.iter().map(|text| quoted(text)).sum::<usize>(),
            CatalogEvent::CollectionDeclared { name: named, .. } => name(named),
            CatalogEvent::BaseImageDeclared {
                artifact,
                starting_version_requirement,
                display_names,
                descriptions,
                release_notes,
                ..
            } => {
                let texts = [display_names, descriptions, release_notes];
                let texts = texts.into_iter().flatten();
                let texts = texts.map(|(language, text)| quoted(language.as_str()) + quoted(text));
                let requirement = starting_version_requirement.as_ref();
                quoted(&artifact.url)
                    + requirement.map_or(0, |requirement| quoted(&requirement.to_string()))
                    + texts.sum::<usize>()
            }
            CatalogEvent::GroupDeclared {
                name: named,
                selector,
                devices,
                ..
            } => {
                let selector = selector.as_ref();
                name(named)
                    + selector.map_or(0, |selector| quoted(selector.as_str()))
                    + devices.iter().map(|id| quoted(id.as_str())).sum::<usize>()
            }
            CatalogEvent::ChannelDeclared {
                name: named,
                groups,
                ..
            } => name(named) + groups.iter().map(|id| quoted(id.as_str())).sum::<usize>(),
            _ => 0,
        }
}

/// A JSON string's length, with a comma or colon.
fn quoted(text: &str) -> usize {
    let length = |c: char| match c {
        '"' | '\\' => 2,
        c if c < ' ' => 6,
        c => c.len_utf8(),
    };
    text.chars().map(length).sum::<usize>() + 3
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Sha256,
        catalog::{
            Artifact, Catalog, CatalogState, NewBaseImage, NewChannel, NewCollection, NewGroup,
            NewSystemModel,
        },
    };

    proptest! {
        /// The longest handles, any text: no event is heavier in the log than was reckoned.
        #[test]
        fn s3_an_event_takes_no_more_than_its_weight(
            line in "l[\\PC\"\\\\]{0,40}", text in "[\\x00-\\x7f\\PC]{0,200}z",
        ) {
            let long = "x".repeat(64);
            let version = format!("1.0.0-{}", "y".repeat(250));
            let url = format!("http://{}", "z".repeat(4_000));
            let image = format!("{long}@{version}");
            let image = NewBaseImage::new(&image, Artifact::new(&url, u64::MAX, Sha256([9; 32])))
                .starting_version_requirement(&format!(">= {version}"))
                .display_name("en", &line)
                .description("pt-BR", &text)
                .release_notes("zh-Hans-CN", &text);
            let catalog = Catalog::new()
                .with(NewSystemModel::new(&long).name(&line).part_number(&line))
                .with(NewCollection::new(&long, &long).name(&line))
                .with(image)
                .with(NewGroup::new(&long).name(&line).selector("\"x\" in tags").devices([&long]))
                .with(NewChannel::new(&long, &[&long]).name(&line));
            for event in catalog.plan(&CatalogState::default()).unwrap() {
                let bytes = serde_json::to_string(&event).unwrap().len();
                prop_assert!(weight(&event) > bytes, "{event:?}");
            }
        }
    }
}
