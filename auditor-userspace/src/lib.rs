//! Network Audit in user space: the stages, in the order of the data.

pub mod account; // what was numbered, what arrived, what is missing
pub mod attribute; // flow -> who, and how we know
pub mod catalogue; // known destinations, watched vendors
pub mod cli; // what can be typed
pub mod client; // asking a running daemon
pub mod clock; // the only reading of clocks
pub mod command; // what each command does
pub mod config; // what was typed, as a valid configuration
pub mod destination; // where a flow goes, in one of six words
pub mod events;
pub mod evidence; // one thing to seal
pub mod flow; // events -> flows
pub mod policy; // what may be asked for, and what the host's floor decides
pub mod report; // sums -> verdict
pub mod rollup; // records -> sums
pub mod serve; // a read-only window // records as lines for people
