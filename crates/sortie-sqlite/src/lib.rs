//! The event log and a device table on SQLite: sortie's embedded default.
