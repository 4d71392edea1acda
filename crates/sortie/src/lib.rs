//! Over-the-air update campaigns to embed in a Rust service.
