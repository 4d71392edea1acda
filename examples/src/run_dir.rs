//! What a run keeps, so that it goes on after the process was killed.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use sortie_protocol::Sha256;

use crate::{
    firmware::Firmware,
    options::{Options, Settings},
    problem::Problem,
    random::Random,
};

/// What is written down at the beginning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    settings: Settings,
    image: Sha256,
    prefix: String,
    /// None until the image has been served.
    port: Option<u16>,
}

/// The place of a run: its event log, and beside it a directory with the devices' flash.
#[derive(Debug, Clone)]
pub struct RunDir {
    db: PathBuf,
    anew: bool,
    kept: Kept,
    firmware: Firmware,
    known: bool,
}

const KEPT: &str = "run.json";

impl RunDir {
    /// Chooses the place, and says what is to be done there: what an earlier run did, or what the
    /// options say. Nothing is written.
    pub fn choose(options: &Options) -> Result<Self, Problem> {
        let (db, anew) = match &options.db {
            Some(db) => (db.clone(), false),
            None => (default_db(), true),
        };
        let stored = if anew { None } else { read(&db)? };
        let settings = options.settings(stored.as_ref().map(|kept| &kept.settings))?;
        let firmware = Firmware::load(settings.seed, settings.image.as_deref())?;
        let image = firmware.new.sha256;
        let known = stored.is_some();
        let kept = match stored {
            Some(kept) if kept.image == image => kept,
            Some(_) => {
                return Err(Problem::new(
                    "the image's file is not what it was when the run in this database began: \
                     restore it, or name another --db",
                ));
            }
            None => Kept {
                settings,
                image,
                prefix: prefix(),
                port: None,
            },
        };
        Ok(Self {
            db,
            anew,
            kept,
            firmware,
            known,
        })
    }

    /// Whether what an earlier run left here is to be removed first.
    pub fn begins_anew(&self) -> bool {
        self.anew && (self.db.exists() || self.flash().exists())
    }

    /// Removes what an earlier run left. Its database must not be open.
    pub fn clear(&self) -> Result<(), Problem> {
        let gone = |removed: io::Result<()>| match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let what = format!("what an earlier run left in {}", self.db.display());
                Err(Problem::because(what, &error))
            }
            _ => Ok(()),
        };
        gone(fs::remove_dir_all(self.flash()))?;
        ["", "-wal", "-shm"]
            .into_iter()
            .try_for_each(|end| gone(fs::remove_file(beside(&self.db, end))))
    }

    /// Makes the directory of a database whose place was not chosen by the user.
    pub fn make_place(&self) -> Result<(), Problem> {
        match self.db.parent() {
            Some(place) if self.anew => made(place),
            _ => Ok(()),
        }
    }

    /// Makes the directory of the flash, and writes down there what the run does, and where its image
    /// is served. The database must be open: it
    /// is the lock.
    pub fn keep(&mut self, port: u16) -> Result<(), Problem> {
        self.kept.port = Some(port);
        made(&self.flash())?;
        let path = self.flash().join(KEPT);
        let failed = |error: &dyn std::error::Error| Problem::because(path.display(), error);
        let text = serde_json::to_vec_pretty(&self.kept).map_err(|error| failed(&error))?;
        let new = path.with_extension("new");
        fs::write(&new, text).map_err(|error| failed(&error))?;
        fs::rename(&new, &path).map_err(|error| failed(&error))?;
        self.known = true;
        Ok(())
    }

    /// Whether an earlier run was here and is to go on.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// What is to be done.
    pub fn settings(&self) -> &Settings {
        &self.kept.settings
    }

    /// The images.
    pub fn firmware(&self) -> &Firmware {
        &self.firmware
    }

    /// What stands before all topics of this run, so that a broker may serve others.
    pub fn prefix(&self) -> &str {
        &self.kept.prefix
    }

    /// Where the image was served before, if it was.
    pub fn port(&self) -> Option<u16> {
        self.kept.port
    }

    /// The event log.
    pub fn db(&self) -> &Path {
        &self.db
    }

    /// The directory of the devices' flash.
    pub fn flash(&self) -> PathBuf {
        beside(&self.db, ".flash")
    }
}

fn made(dir: &Path) -> Result<(), Problem> {
    fs::create_dir_all(dir).map_err(|error| Problem::because(dir.display(), &error))
}

fn beside(db: &Path, end: &str) -> PathBuf {
    let mut path = db.as_os_str().to_owned();
    path.push(end);
    path.into()
}

fn default_db() -> PathBuf {
    place("quickstart").join("sortie.db")
}

/// A directory `name` for what an example keeps: in cargo's target directory, where `cargo clean`
/// finds it, if the program runs from one.
pub fn place(name: &str) -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let mut places = program.ancestors().skip(1);
    let target = places.find(|place| place.join("CACHEDIR.TAG").exists());
    let place = target.map_or_else(std::env::temp_dir, Path::to_owned);
    place.join(name)
}

fn read(db: &Path) -> Result<Option<Kept>, Problem> {
    let path = beside(db, ".flash").join(KEPT);
    let failed = |error: &dyn std::error::Error| Problem::because(path.display(), error);
    match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(&error)),
        Ok(text) => serde_json::from_slice(&text).map_err(|error| failed(&error)),
    }
}

/// One that no other run has.
fn prefix() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs() ^ u64::from(now.subsec_nanos()) << 32);
    let word = Random::of(now, std::process::id().into()).next() >> 32;
    format!("sortie-quickstart/{word:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(db: &Path) -> Options {
        Options {
            db: Some(db.into()),
            devices: Some(3),
            ..Options::default()
        }
    }

    #[test]
    fn a_run_that_was_kept_goes_on_and_another_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let db = dir.path().join("x.db");
        let mut run = RunDir::choose(&options(&db)).unwrap();
        assert!(!run.is_known() && run.port().is_none());
        run.keep(1234).unwrap();
        let again = RunDir::choose(&options(&db)).unwrap();
        assert!(again.is_known() && !again.begins_anew());
        assert_eq!((again.port(), again.prefix()), (Some(1234), run.prefix()));
        let other = Options {
            devices: Some(4),
            ..options(&db)
        };
        assert!(RunDir::choose(&other).is_err());
    }

    #[test]
    fn an_image_that_changed_since_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (db, image) = (dir.path().join("x.db"), dir.path().join("image"));
        let options = Options {
            image: Some(image.clone()),
            ..options(&db)
        };
        fs::write(&image, "one").unwrap();
        let mut run = RunDir::choose(&options).unwrap();
        run.keep(1).unwrap();
        assert!(RunDir::choose(&options).is_ok());
        fs::write(&image, "two").unwrap();
        let no = RunDir::choose(&options).unwrap_err();
        assert!(no.to_string().contains("not what it was"), "{no}");
    }

    #[test]
    fn clearing_removes_a_run_and_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let db = dir.path().join("x.db");
        let mut run = RunDir::choose(&options(&db)).unwrap();
        run.keep(1).unwrap();
        fs::write(&db, "").unwrap();
        fs::write(dir.path().join("y.db"), "").unwrap();
        run.clear().unwrap();
        run.clear().unwrap();
        let left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["y.db"]);
    }
}
