//! Cases: runs that were recorded, to be replayed without models and tools against an agent as it is today.
//!
//! A case holds everything that came from outside: the task, each answer of the model, each result of a tool, in order, and
//! the definitions of the tools. A replay gives them back through the same machine and the same gate; what may differ is
//! what the agent makes of them. **Invariant:** a case is a file that people put in Git: no value of a variable is in it.

mod outline;
mod redact;
mod shape;
#[cfg(test)]
mod tests;
mod verdict;

pub use outline::{Told, outline, step};
pub use redact::redact;
pub use shape::{Call, CallEnd, Case, Inputs, Step, Tool, ToolKind, VERSION, read};
pub use verdict::{Line, Replayed, Side, Verdict, judge};
