//! Two ends in one process: volumes, engines, journals and threads as they are, joined by queues.

mod budget;
mod cuts;
mod host;
mod house;
mod images;
mod in_step;
mod lying;
mod power;
mod refusing;
