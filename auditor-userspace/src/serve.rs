//! A read-only window on the records, over a local socket.

pub mod wire; // records as JSON
