//! RFC 7143 as sans-I/O state machines. A CDB is bytes to it.
