//! The real `stn` in a temporary home.
