//! The wire between engine and device: messages, limits and their JSON.
