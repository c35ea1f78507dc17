//! Network Audit in user space: the stages, in the order of the data.

pub mod chain; // record -> leaf -> tree
pub mod key; // who signs
pub mod store; // durable, atomically
