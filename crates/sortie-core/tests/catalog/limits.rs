//! Every size that comes from outside has a limit (S3).

use sortie_core::catalog::{
    Catalog, CatalogState, NewBaseImage, NewChannel, NewCollection, NewGroup, NewSystemModel,
};

use crate::{artifact, declared, fields};

/// At the limit it is accepted, one above it refused, and the field is named.
#[track_caller]
fn limit(field: &str, most: usize, draft: impl Fn(usize) -> Catalog) {
    let basis = Catalog::new()
        .collection("c", "m")
        .group("g", "\"x\" in tags");
    let state = declared(&basis);
    assert_eq!(
        draft(most).plan(&state).map(|events| events.len()),
        Ok(1),
        "{field}"
    );
    let error = draft(most + 1).plan(&state).unwrap_err();
    assert_eq!(fields(&error), [field], "{error}");
}

fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}

#[test]
fn s3_texts_are_bounded() {
    let of = |item: fn(&str) -> Catalog| move |bytes| item(&text(bytes));
    let image = || NewBaseImage::new("c@1.0.0", artifact(1));
    limit(
        "system_models.n.name",
        256,
        of(|t| Catalog::new().with(NewSystemModel::new("n").name(t))),
    );
    limit(
        "system_models.n.part_numbers",
        128,
        of(|t| Catalog::new().with(NewSystemModel::new("n").part_number(t))),
    );
    limit(
        "collections.c.name",
        256,
        of(|t| Catalog::new().with(NewCollection::new("c", "m").name(t))),
    );
    limit(
        "groups.h.name",
        256,
        of(|t| Catalog::new().with(NewGroup::new("h").name(t))),
    );
    limit(
        "channels.d.name",
        256,
        of(|t| Catalog::new().with(NewChannel::new("d", &[]).name(t))),
    );
    limit("base_images.c@1.0.0.display_names.en", 256, |n| {
        Catalog::new().with(image().display_name("en", &text(n)))
    });
    limit("base_images.c@1.0.0.descriptions.en", 16 << 10, |n| {
        Catalog::new().with(image().description("en", &text(n)))
    });
    limit("base_images.c@1.0.0.release_notes.en", 64 << 10, |n| {
        Catalog::new().with(image().release_notes("en", &text(n)))
    });
    let version = |n| format!("c@1.0.0-{}", text(n - 6));
    let field = format!("base_images.{}", &version(257)[..80]);
    limit(&field, 256, |n| {
        Catalog::new().base_image(&version(n), artifact(1))
    });
}

#[test]
fn s3_counts_are_bounded() {
    let numbered = |n: usize| (0..n).map(|n| format!("n-{n}"));
    limit("system_models.n.part_numbers", 1_000, |n| {
        Catalog::new().with(numbered(n).fold(NewSystemModel::new("n"), |model, number| {
            model.part_number(&number)
        }))
    });
    limit("groups.h.devices", 100_000, |n| {
        Catalog::new().with(NewGroup::new("h").devices(numbered(n)))
    });
    limit("channels.d.groups", 1_000, |n| {
        Catalog::new().channel("d", &vec!["g"; n])
    });
    limit("base_images.c@1.0.0.descriptions", 100, |n| {
        let tag = |n: usize| format!("en-{n:03}");
        let image = NewBaseImage::new("c@1.0.0", artifact(1));
        Catalog::new().with((0..n).fold(image, |image, n| image.description(&tag(n), "x")))
    });
}

#[test]
fn s3_there_are_at_most_so_many_of_a_kind() {
    let groups = |n: usize| {
        (0..n).fold(Catalog::new(), |catalog, n| {
            catalog.group_of(&format!("g-{n}"), &[])
        })
    };
    let full = declared(&groups(10_000));
    let error = groups(10_001).plan(&full).unwrap_err();
    assert_eq!(fields(&error), ["groups.g-10000"]);
    assert_eq!(groups(10_000).plan(&full).unwrap(), []);
}

#[test]
fn s3_one_declaration_fits_into_one_commit() {
    // 21 notes of 64 KiB that JSON writes as six bytes a character: 8 MiB an image.
    let notes = "\u{1}".repeat((64 << 10) - 1) + "x";
    let image = |id: &str| {
        let image = NewBaseImage::new(id, artifact(1));
        (0..21).fold(image, |image, n| {
            image.release_notes(&format!("en-{n:03}"), &notes)
        })
    };
    let fits = (0..4).fold(Catalog::new().collection("c", "m"), |catalog, n| {
        catalog.with(image(&format!("c@1.0.{n}")))
    });
    let state = CatalogState::default();
    assert_eq!(fits.plan(&state).unwrap().len(), 5);
    let more = fits.with(image("c@1.0.4"));
    let error = more.plan(&state).unwrap_err();
    assert_eq!(fields(&error), ["catalog"], "{error}");
}

#[test]
fn s3_an_error_does_not_repeat_what_is_too_long() {
    let long = text(1 << 20);
    let draft = Catalog::new()
        .with(NewSystemModel::new(&long).name(&format!("{long}\n")))
        .base_image(&long, crate::Artifact::new(&long, 1, artifact(1).sha256))
        .group(&long, &long)
        .group_of("h", &[&long])
        .with(NewBaseImage::new("c@1.0.0", artifact(1)).description(&long, "x"))
        .channel("d", &[&long]);
    let error = draft.plan(&CatalogState::default()).unwrap_err();
    assert!(
        error.to_string().len() < 8_000,
        "{}",
        error.to_string().len()
    );
}
