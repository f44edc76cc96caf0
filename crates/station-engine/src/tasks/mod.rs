//! Reconcilers of `stn serve`: they take no input, may run anywhere and any number of times, and mend what they find.

mod retention;

pub(crate) use retention::retention;
