//! Whether a fleet fits on this machine: open files and disk.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::problem::Problem;

/// What the flash of all devices may take on disk.
const DISK_BYTES_MAX: u64 = 4 << 30;

/// A device holds its flash's file and its connection; the other end of that counts when the broker
/// is in the process.
const FILES_PER_DEVICE: u64 = 3;
/// Both ends of a download's connection.
const FILES_PER_DOWNLOAD: u64 = 2;
/// Event log, listeners, runtime, terminal.
const FILES_ELSE: u64 = 64;

/// Raises this process's limit on open files to what a fleet needs.
pub fn open_files(devices: u32, downloads: u32) -> Result<(), Problem> {
    let limit = getrlimit(Resource::Nofile);
    let needed = files_for(devices.into(), downloads);
    let (current, hard) = (
        limit.current.unwrap_or(u64::MAX),
        limit.maximum.unwrap_or(u64::MAX),
    );
    if current >= needed {
        return Ok(());
    }
    let raised = Rlimit {
        current: Some(needed),
        ..limit
    };
    if hard >= needed && setrlimit(Resource::Nofile, raised).is_ok() {
        return Ok(());
    }
    Err(too_many(devices, downloads, hard))
}

fn files_for(devices: u64, downloads: u32) -> u64 {
    let downloads = devices.min(downloads.into());
    devices * FILES_PER_DEVICE + downloads * FILES_PER_DOWNLOAD + FILES_ELSE
}

fn too_many(devices: u32, downloads: u32, hard: u64) -> Problem {
    let fit = (0..=u64::from(devices))
        .rev()
        .find(|&fit| files_for(fit, downloads) <= hard)
        .unwrap_or_default();
    Problem::new(format!(
        "{devices} devices need {} open files and this system allows {hard}: {fit} devices fit, \
         or raise the limit with `ulimit -n`",
        files_for(devices.into(), downloads)
    ))
}

/// Checks what the flash of a fleet takes on disk, at `each` bytes a device.
pub fn disk(devices: u32, each: u64) -> Result<(), Problem> {
    let fit = DISK_BYTES_MAX / each.max(1);
    if u64::from(devices) <= fit {
        return Ok(());
    }
    let tenths = (u64::from(devices) * each * 10).div_ceil(1 << 30);
    Err(Problem::new(format!(
        "the flash of {devices} devices, two slots of this image each, would need {}.{} GiB of disk \
         and 4 GiB is the limit: {fit} devices fit",
        tenths / 10,
        tenths % 10
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_too_large_for_the_disk_is_told_how_many_fit() {
        let each = 2 * (64 << 20);
        assert!(disk(32, each).is_ok());
        let no = disk(33, each).unwrap_err().to_string();
        assert!(
            no.contains("4.2 GiB") && no.contains("32 devices fit"),
            "{no}"
        );
    }

    #[test]
    fn a_fleet_with_too_many_files_is_told_how_many_fit() {
        let no = too_many(2000, 200, 4096).to_string();
        assert!(
            no.contains("4096") && no.contains("1210 devices fit"),
            "{no}"
        );
        assert!(files_for(1210, 200) <= 4096 && files_for(1211, 200) > 4096);
        let none = too_many(2000, 200, 10).to_string();
        assert!(none.contains("0 devices fit"), "{none}");
    }
}
