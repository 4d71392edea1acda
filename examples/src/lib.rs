//! The examples of sortie.
