//! Whose flow it is, and how we know.

pub mod discover; // which processes are an Odoo
pub mod instance; // which Odoo a process belongs to
pub mod lineage; // who is whose child
pub mod proc; // what /proc says
