//! What a storage element supports right now, in the terms of the DMTF replication model. Pure: no I/O, no clock.
