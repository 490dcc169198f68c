//! Tests of the real programs: the daemon is spawned, spoken to over its sockets, killed and started
//! again. Only the documentation check links code of the project.

mod harness;

mod bad_input;
mod endurance;
mod login;
mod management;
mod storage;
mod tidy;
