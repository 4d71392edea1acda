//! What is asked of the heap.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Stats, StatsAlloc};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The heap at one moment.
pub(crate) struct Heap(Stats);

impl Heap {
    pub(crate) fn now() -> Self {
        Self(GLOBAL.stats())
    }

    /// How often something was asked of it since.
    pub(crate) fn allocations(&self) -> usize {
        let since = GLOBAL.stats() - self.0;
        since.allocations + since.reallocations
    }

    /// By how many bytes it has grown since.
    pub(crate) fn grown(&self) -> usize {
        let since = GLOBAL.stats() - self.0;
        since.bytes_allocated - since.bytes_deallocated
    }
}
