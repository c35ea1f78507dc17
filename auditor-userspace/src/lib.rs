//! Network Audit in user space: the stages, in the order of the data.

pub mod kernel_btf; // what this kernel's structures look like
pub mod probe; // loads and attaches the programs, yields coverage
pub mod ring; // bytes out of the kernel

pub mod decode; // bytes -> Event
