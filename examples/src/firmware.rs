//! The images of the simulation, and which version an image's bytes are.

use std::path::Path;

use bytes::Bytes;
use sha2::{Digest, Sha256 as Hasher};
use sortie_protocol::Sha256;

use crate::{problem::Problem, random::Random};

/// The version that is rolled out.
pub const NEW: &str = "1.4.0";
/// What most devices run before.
pub const OLD: [&str; 2] = ["1.3.0", "1.2.6"];
/// Does not meet [`REQUIREMENT`].
pub const TOO_OLD: &str = "0.9.4";
/// Newer than what is rolled out.
pub const NEWER: &str = "1.5.0";
/// The Base Image's starting Version Requirement (E5).
pub const REQUIREMENT: &str = ">= 1.0.0";

/// The image that is rolled out, if no file is given.
const NEW_BYTES: usize = 64 * 1024;
const FACTORY_BYTES: usize = 24 * 1024;
/// The largest file that is taken as an image.
pub const IMAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// One image.
#[derive(Debug, Clone)]
pub struct Image {
    /// What its version is. The bytes don't say it: they may be any.
    pub version: String,
    /// All of it.
    pub bytes: Bytes,
    /// Its digest.
    pub sha256: Sha256,
}

impl Image {
    /// `bytes` as `version`.
    pub fn new(version: &str, bytes: Vec<u8>) -> Self {
        Self {
            version: version.into(),
            sha256: Sha256(Hasher::digest(&bytes).into()),
            bytes: bytes.into(),
        }
    }

    /// Its length in bytes, which fits the 32 bits of flash addresses: it is at most 64 MiB.
    pub fn size(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }
}

/// All images of a run.
#[derive(Debug, Clone)]
pub struct Firmware {
    /// What is rolled out.
    pub new: Image,
    factory: Vec<Image>,
}

impl Firmware {
    /// The images of `seed`; what is rolled out is `file`, if there is one.
    pub fn load(seed: u64, file: Option<&Path>) -> Result<Self, Problem> {
        let new = match file {
            Some(file) => read(file)?,
            None => Random::of(seed, 0x0001_0000).bytes(NEW_BYTES),
        };
        let others = [OLD[0], OLD[1], TOO_OLD, NEWER];
        let factory = others.into_iter().zip(0x0002_0000..);
        let factory = factory.map(|(version, purpose)| {
            Image::new(version, Random::of(seed, purpose).bytes(FACTORY_BYTES))
        });
        Ok(Self {
            new: Image::new(NEW, new),
            factory: factory.collect(),
        })
    }

    /// The image of `version`, if it is one of the run's.
    pub fn image(&self, version: &str) -> Option<&Image> {
        self.all().find(|image| image.version == version)
    }

    /// Which version the bytes with this digest are, if they are one of the run's images.
    pub fn version_of(&self, sha256: Sha256) -> Option<&str> {
        let found = self.all().find(|image| image.sha256 == sha256);
        found.map(|image| image.version.as_str())
    }

    /// The largest image, in bytes: what a slot must hold.
    pub fn largest(&self) -> u32 {
        self.all().map(Image::size).max().unwrap_or_default()
    }

    fn all(&self) -> impl Iterator<Item = &Image> {
        std::iter::once(&self.new).chain(&self.factory)
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Problem> {
    let shown = file.display();
    let failed = |error| Problem::because(format!("--image {shown} can't be read"), &error);
    let len = std::fs::metadata(file).map_err(failed)?.len();
    if len > IMAGE_BYTES_MAX {
        return Err(Problem::new(format!(
            "--image {shown} has {len} bytes, 64 MiB is the limit"
        )));
    }
    let bytes = std::fs::read(file).map_err(failed)?;
    if bytes.is_empty() {
        return Err(Problem::new(format!("--image {shown} is empty")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_images_of_a_seed_are_the_same_each_time_and_all_different() {
        let firmware = Firmware::load(7, None).unwrap();
        let again = Firmware::load(7, None).unwrap();
        let other = Firmware::load(8, None).unwrap();
        for image in firmware.all() {
            let version = image.version.as_str();
            assert_eq!(again.image(version).unwrap().sha256, image.sha256);
            assert_ne!(other.image(version).unwrap().sha256, image.sha256);
            assert_eq!(firmware.version_of(image.sha256), Some(version));
        }
        assert_eq!(firmware.version_of(Sha256([0; 32])), None);
        assert_eq!(firmware.largest(), 64 * 1024);
    }

    #[test]
    fn any_file_is_an_image_but_not_an_empty_missing_or_huge_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("any.bin");
        let no = |why: &str| {
            let no = Firmware::load(1, Some(&path)).unwrap_err().to_string();
            assert!(no.contains(why) && no.contains("any.bin"), "{no}");
        };
        no("can't be read");
        std::fs::write(&path, "").unwrap();
        no("is empty");
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(IMAGE_BYTES_MAX + 1).unwrap();
        no("64 MiB");
        std::fs::write(&path, [0xFF; 33]).unwrap();
        let firmware = Firmware::load(1, Some(&path)).unwrap();
        assert_eq!(firmware.new.bytes, [0xFF; 33][..]);
    }
}
