//! Reads of any alignment and the checks after a write, on top of the aligned calls of `NorFlash`.

use alloc::vec;

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

/// How much is read at a time when flash is compared or hashed, in bytes.
pub(crate) const CHUNK: usize = 4096;

/// A flash offset from a size of memory. What exceeds 32 bits exceeds every flash too, and saturates,
/// so that the bounds check that follows refuses it.
pub(crate) fn to_u32(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// Whether the sizes of `F` are what the log and the slots build on.
pub(crate) fn geometry_is_sound<F: NorFlash>() -> bool {
    F::READ_SIZE > 0
        && F::WRITE_SIZE > 0
        && F::ERASE_SIZE > 0
        && F::WRITE_SIZE.is_multiple_of(F::READ_SIZE)
        && F::ERASE_SIZE.is_multiple_of(F::WRITE_SIZE)
        && u32::try_from(F::ERASE_SIZE).is_ok()
}

/// Reads at any offset and of any length, through a buffer where `READ_SIZE` asks for it.
pub(crate) fn read<F: ReadNorFlash>(
    flash: &mut F,
    offset: u32,
    bytes: &mut [u8],
) -> Result<(), F::Error> {
    let unit = F::READ_SIZE;
    let before = offset as usize % unit;
    if before == 0 && bytes.len().is_multiple_of(unit) {
        return flash.read(offset, bytes);
    }
    let mut bounce = vec![0; (before + bytes.len()).next_multiple_of(unit)];
    flash.read(offset - to_u32(before), &mut bounce)?;
    bytes.copy_from_slice(&bounce[before..before + bytes.len()]);
    Ok(())
}

/// Whether the flash at `offset` reads as `expected`.
pub(crate) fn holds<F: ReadNorFlash>(
    flash: &mut F,
    offset: u32,
    expected: &[u8],
) -> Result<bool, F::Error> {
    let mut buffer = vec![0; CHUNK.min(expected.len())];
    let mut at = offset;
    for chunk in expected.chunks(CHUNK) {
        let part = &mut buffer[..chunk.len()];
        read(flash, at, part)?;
        if part != chunk {
            return Ok(false);
        }
        at += to_u32(chunk.len());
    }
    Ok(true)
}

/// Whether `len` bytes at `offset` read as erased.
pub(crate) fn is_blank<F: ReadNorFlash>(
    flash: &mut F,
    offset: u32,
    len: u32,
) -> Result<bool, F::Error> {
    let mut buffer = vec![0; CHUNK.min(len as usize)];
    let mut done = 0;
    while done < len {
        let part = (len - done).min(to_u32(CHUNK));
        let part_of_buffer = &mut buffer[..part as usize];
        read(flash, offset + done, part_of_buffer)?;
        if part_of_buffer.iter().any(|&byte| byte != 0xFF) {
            return Ok(false);
        }
        done += part;
    }
    Ok(true)
}
