//! System Models, Base Image Collections, Base Images, Groups and Channels (rules T).
//!
//! A [`Catalog`] is a draft that the application declares, the same at every start; what differs
//! from the fold, [`CatalogState`], becomes events of the `catalog` stream.

mod artifact;
mod draft;
mod event;
mod state;

pub use artifact::Artifact;
pub use draft::Catalog;
pub use event::CatalogEvent;
pub use state::{CatalogState, Channel, Group, Image};
