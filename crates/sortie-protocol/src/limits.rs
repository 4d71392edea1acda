//! Limits on every size that comes from outside.

/// A message on the wire is shorter than this many bytes (8 KiB).
pub const PAYLOAD_BYTES_MAX: usize = 8 * 1024;

/// A device id has at most this many bytes; so has a route.
pub const ID_BYTES_MAX: usize = 64;

/// Free text from a device (OTAEvent's `message`) is cut after this many bytes.
pub const MESSAGE_BYTES_MAX: usize = 1024;

/// A short text from a device (version, session, name, reason, status code) is cut after this
/// many bytes. A version this long is no SemVer that anyone ships, and fails as invalid.
pub const TEXT_BYTES_MAX: usize = 256;

/// `gen` stays below 2^53, so that every JSON implementation holds it exactly.
pub const GENERATION_MAX: u64 = (1 << 53) - 1;
