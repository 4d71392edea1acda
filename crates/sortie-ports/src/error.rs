//! What adapters' errors have in common.

/// An adapter's own error, boxed, so that no driver's type shows in our API.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
