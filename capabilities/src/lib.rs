//! What a storage element supports right now, in the terms of the DMTF replication model. Pure: no
//! I/O, no clock.
//!
//! So far only its place in the house: until there are replication engines, nothing is supported, and
//! nothing is claimed.
#![forbid(unsafe_code)]
