//! Ends together: a world of nodes, disks and links ([`world`]), walked exhaustively ([`explore`]) and at random
//! ([`simulate`]).

mod disk;
mod explore;
mod ghost;
mod setup;
mod simulate;
mod world;
