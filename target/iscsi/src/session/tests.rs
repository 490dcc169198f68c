//! Sequences of PDUs between a session and an initiator.
