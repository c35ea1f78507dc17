//! What two programs of Network Audit must agree on, to the byte.
//!
//! The kernel half and user space share [`event`]; the addon and the daemon share [`hint`]; the daemon and every
//! verifier share what the `user` feature adds. `FORMAT.md` beside this crate says the same in prose, and tests hold
//! the two together.
#![cfg_attr(not(any(test, feature = "user")), no_std)]

pub mod endpoint; // an address and a port, in one form for IPv4 and IPv6
pub mod event; // what the kernel notices
pub mod gap; // every way evidence can be missing, as numbers
pub mod hint; // what the addon claims, in shared memory
pub mod maps; // what the loader tells the kernel half, and reads back

#[cfg(feature = "user")]
pub mod body; // what a record says, and its bytes
#[cfg(feature = "user")]
pub mod checkpoint; // the size and the root of the tree, signed
#[cfg(feature = "user")]
pub mod epoch; // who may sign, from when on
#[cfg(feature = "user")]
pub mod export; // a part of the ledger, handed to somebody
#[cfg(feature = "user")]
mod lanes; // SHA-256 of many messages at a time
#[cfg(feature = "user")]
pub mod merkle; // the tree, its right edge and its proofs
#[cfg(feature = "user")]
pub mod note; // signed text
#[cfg(feature = "user")]
pub mod origin; // whose ledger it is
#[cfg(feature = "user")]
pub mod proof; // one record and where it lies
#[cfg(feature = "user")]
pub mod record; // an entry: link of the chain and leaf of the tree
#[cfg(feature = "user")]
pub mod stream; // the records of one instance among all others
#[cfg(feature = "user")]
pub mod tar; // the one form of archive that an export has
#[cfg(feature = "user")]
pub mod verify; // rows and checkpoints -> verdict
