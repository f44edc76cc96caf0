//! What only the inside can try: the order of things itself.

mod idle;
mod simulation;
