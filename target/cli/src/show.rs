//! The API's answers as text for people.

mod session;
mod status;
mod target;
mod volume;

pub(crate) use session::sessions;
pub(crate) use status::status;
pub(crate) use target::{access_list, portal_groups, target, targets};
pub(crate) use volume::{volume, volumes};

#[cfg(test)]
mod tests;
