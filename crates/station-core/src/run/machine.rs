//! Folds a journal.
