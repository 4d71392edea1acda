//! System Models, Base Image Collections, Base Images, Groups and Channels (rules T).
//!
//! A [`Catalog`] is a draft that the application declares, the same at every start; what differs
//! from the fold, [`CatalogState`], becomes events of the `catalog` stream. What is to go is deleted
//! one by one, and only if nothing uses it: [`CatalogState::delete`].

mod artifact;
mod check;
mod delete;
mod draft;
mod event;
mod language;
mod new;
mod plan;
mod state;
mod weight;

pub use artifact::Artifact;
pub use delete::{CatalogItem, CatalogUser, Use};
pub use draft::{Catalog, Draft};
pub use event::CatalogEvent;
pub use language::Language;
pub use new::{NewBaseImage, NewChannel, NewCollection, NewGroup, NewSystemModel};
pub use state::{BaseImage, CatalogState, Channel, Collection, Group, SystemModel};
