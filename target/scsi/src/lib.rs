//! SAM, SPC and SBC device server, sans-I/O: a CDB in, a plan out.
