//! What an adapter of sortie implements, and the adapters that live in memory.
