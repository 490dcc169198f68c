//! Behaviour of the device server as an initiator sees it, one file per family of commands.

mod alua;
mod any_bytes;
mod atomic;
mod attention;
mod capacity;
mod copy;
mod defects;
mod errors;
mod flush;
mod inquiry;
mod lba_status;
mod log;
mod luns;
mod mode;
mod provisioning;
mod read_write;
mod renewal;
mod report_opcodes;
mod reservation_matrix;
mod reservation_ports;
mod reservations;
mod residuals;
mod rig;
mod states;
mod verify;
