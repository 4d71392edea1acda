//! The pure domain of update campaigns: versions, targeting, campaigns, events.
