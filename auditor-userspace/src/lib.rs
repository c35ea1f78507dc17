//! Network Audit in user space: the stages, in the order of the data.

pub mod config; // what was typed, as a valid configuration
pub mod clock; // the only reading of clocks
pub mod kernel_btf; // what this kernel's structures look like
pub mod probe; // loads and attaches the programs, yields coverage
pub mod ring; // bytes out of the kernel
pub mod decode; // bytes -> event
pub mod name; // event -> names of the other end
pub mod flow; // event -> flow
pub mod attribute; // flow -> who, and how we know
pub mod catalogue; // known destinations, watched vendors
pub mod destination; // where a flow goes
pub mod evidence; // one thing to seal
pub mod account; // what was numbered, what arrived, what is missing
pub mod chain; // record -> leaf -> tree
pub mod key; // who signs
pub mod store; // durable, atomically
pub mod verify; // files -> verdict
pub mod nightly; // the daemon verifies its own ledger
pub mod export; // a part of the ledger, for somebody who trusts nobody here
pub mod rollup; // sums over the records
pub mod policy; // what an instance may ask for, and what the host decides
pub mod report; // sums -> verdict
pub mod pipeline; // the stages, wired
pub mod serve; // a read-only window
pub mod cli; // what can be typed
pub mod client; // asking a running daemon
pub mod events; // records as lines for people
pub mod command; // what each command does
