//! Network Audit in user space: the stages, in the order of the data.
