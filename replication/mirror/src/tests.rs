//! Ends together: a world of nodes, disks and links ([`world`]), walked exhaustively ([`explore`]) and at random
//! ([`simulate`]), also as a host sees them ([`linear`]).

mod budget;
mod disk;
mod explore;
mod ghost;
mod linear;
mod setup;
mod simulate;
mod world;
