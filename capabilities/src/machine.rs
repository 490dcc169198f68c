//! The state machine of an association: which operation is accepted in which CopyState, and what it leads to.

mod required;
pub(crate) use required::required_operation;
