//! The state machine of an association: which operation is accepted in which CopyState, and what it leads to.
//! It decides; the engines do what it says.
//!
//! [`TABLE`] is all of it: one [`Row`] per operation, kind of copy and set of states. [`transition()`] looks an
//! operation up for an association as it is, under the features that are published; [`modify()`] asks the state
//! of both ends as well. [`EVENTS`] is what happens without being asked for. Nothing else in this crate knows
//! which operation goes with which state.
//!
//! In the words of the table: an operation *flows* if data has to reach the target before it is done. Then
//! CopyState is Unsynchronized (a mirror, a clone) until [`Event::Copied`].

mod closure;
mod event;
mod modify;
mod refusal;
mod required;
mod row;
mod table;
mod transition;

pub use closure::{copy_states, host_accessible};
pub use event::{EVENTS, Event, EventOutcome, EventRow, observe};
pub(crate) use modify::association_type;
pub use modify::{Modification, modify};
pub use refusal::OperationRefusal;
pub use required::required_operation;
pub use row::{Basis, Need, Outcome, Remains, Row, Scope, Touches};
pub use table::{TABLE, rows};
pub use transition::{After, State, Transition, created, transition};
