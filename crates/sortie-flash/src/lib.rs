//! A flash simulator at the contract's worst, and A/B slots over embedded-storage.
