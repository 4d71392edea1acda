//! One node, driven step by step: what the random driver meets by chance, on purpose.

#![expect(clippy::unwrap_used, reason = "a test's helpers panic on purpose")]

mod bed;
mod foreign;
mod kept;
mod late;
mod notices;
mod recovery;
mod registers;
mod removed;
