//! The server, asked as a client does, over a daemon that isn't one.

mod asking;
mod fake;

mod aspects;
mod associations;
mod classes;
mod hostile;
mod indications;
mod instances;
mod lists;
mod methods;
mod peers;
mod pulling;
mod replicas;
