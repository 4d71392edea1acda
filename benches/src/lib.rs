//! The benches of sortie.
