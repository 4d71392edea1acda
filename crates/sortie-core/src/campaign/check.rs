//! Checking a draft against the catalog (S3).

use super::{CampaignSpec, ImageCopy, NewCampaign};
use crate::{CatalogState, Invalid, catalog::Group};

impl NewCampaign {
    /// Checks everything: what [`validate`](Self::validate) does, and that its Base Image and Channel are
    /// there. Answers what the campaign is made of, with the image and the Channel's Groups as they are.
    ///
    /// # Errors
    /// All that is wrong, by field (S3).
    pub fn check(
        &self,
        catalog: &CatalogState,
    ) -> Result<(CampaignSpec, ImageCopy, Vec<Group>), Invalid> {
        let spec = self.validate();
        let image = catalog.image_copy(self.base_image());
        let groups = catalog.groups_of(self.channel());
        let mut invalid = match &spec {
            Ok(_) => Invalid::default(),
            Err(invalid) => invalid.clone(),
        };
        if image.is_none() {
            let why = format!("there is no base image {}", self.base_image());
            invalid.add("base_image", why);
        }
        if groups.is_none() {
            let why = format!("there is no channel {}", self.channel());
            invalid.add("channel", why);
        }
        match (spec, image, groups) {
            (Ok(spec), Some(image), Some(groups)) => Ok((spec, image, groups)),
            _ => Err(invalid),
        }
    }
}
