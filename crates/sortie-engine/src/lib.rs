//! The campaign engine: a sans-IO node and the driver that performs what it asks.
