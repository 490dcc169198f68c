//! What each service action of PERSISTENT RESERVE OUT makes of the state (SPC-5, "PERSISTENT RESERVE
//! OUT command" and the clauses on registering, reserving, releasing and clearing).

use std::collections::BTreeSet;

use crate::attention::UnitAttention;
use crate::reservation::state::{MAX_REGISTRATIONS, NexusName, PersistentState, Reservation};
use crate::reservation::transport_id::{TransportId, node_of};
use crate::reservation::{ReservationType, preempt};
use crate::sense::{AdditionalSense, Sense};

/// Where fields of the parameter list are that a refusal points at.
const SERVICE_ACTION_KEY_AT: u16 = 8;
const SPEC_I_PT_AT: u16 = 20;
const SPEC_I_PT_BIT: u8 = 3;
const MOVE_PORT_AT: u16 = 18;
const TRANSPORT_IDS_AT: u16 = 28;

/// A service action with its parameters, each of them valid for itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ServiceAction {
    /// REGISTER and REGISTER AND IGNORE EXISTING KEY.
    Register(Register),
    /// RESERVE.
    Reserve { key: u64, kind: ReservationType },
    /// RELEASE, with the SCOPE and TYPE byte as it came.
    Release { key: u64, scope_and_type: u8 },
    /// CLEAR.
    Clear { key: u64 },
    /// PREEMPT and PREEMPT AND ABORT, with the SCOPE and TYPE byte as it came.
    Preempt {
        key: u64,
        /// SERVICE ACTION RESERVATION KEY: whose registrations go.
        victim: u64,
        scope_and_type: u8,
        abort: bool,
    },
    /// REGISTER AND MOVE.
    Move {
        key: u64,
        /// SERVICE ACTION RESERVATION KEY: the key of the new holder, not 0.
        new_key: u64,
        unregister: bool,
        aptpl: bool,
        to: NexusName,
    },
}

/// REGISTER, and REGISTER AND IGNORE EXISTING KEY.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Register {
    /// RESERVATION KEY: the key that must be registered now, 0 for none; `None` to ignore it.
    pub(crate) expected: Option<u64>,
    /// SERVICE ACTION RESERVATION KEY: the new key, 0 to unregister.
    pub(crate) key: u64,
    pub(crate) aptpl: bool,
    pub(crate) all_target_ports: bool,
    /// SPEC_I_PT: register these as well.
    pub(crate) others: Option<Vec<TransportId>>,
}

/// What the logical unit knows of ports, for parameters that don't name them one by one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Relative identifiers of the target ports through which the unit can be reached.
    pub(crate) target_ports: Vec<u16>,
    /// Initiator ports that are logged in.
    pub(crate) initiator_ports: Vec<String>,
}

/// Why a service action isn't done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    /// RESERVATION CONFLICT.
    Conflict,
    /// CHECK CONDITION.
    Sense(Sense),
}

/// What others have to be told, and whose tasks end.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Effects {
    pub(crate) attentions: Vec<(NexusName, UnitAttention)>,
    /// Those whose tasks PREEMPT AND ABORT ends.
    pub(crate) aborted: Vec<NexusName>,
}

type Done = Result<Effects, Refused>;

impl PersistentState {
    /// Does a service action that came from a nexus. After a refusal the state is unspecified: work
    /// on a copy.
    pub(crate) fn apply(
        &mut self,
        from: &NexusName,
        action: &ServiceAction,
        known: &Known,
    ) -> Done {
        match action {
            ServiceAction::Register(register) => self.register(from, register, known),
            ServiceAction::Reserve { key, kind } => {
                self.check_key(from, *key)?;
                self.reserve(from, *kind)
            }
            ServiceAction::Release {
                key,
                scope_and_type,
            } => {
                self.check_key(from, *key)?;
                self.release(from, *scope_and_type)
            }
            ServiceAction::Clear { key } => {
                self.check_key(from, *key)?;
                let mut effects = self.clear();
                effects.attentions.retain(|(nexus, _)| nexus != from);
                Ok(effects)
            }
            ServiceAction::Preempt {
                key,
                victim,
                scope_and_type,
                abort,
            } => {
                self.check_key(from, *key)?;
                let mut effects = preempt::preempt(self, from, *victim, *scope_and_type)?;
                if !abort {
                    effects.aborted.clear();
                }
                Ok(effects)
            }
            ServiceAction::Move {
                key,
                new_key,
                unregister,
                aptpl,
                to,
            } => {
                self.check_key(from, *key)?;
                self.move_to(from, to, *new_key, *unregister)?;
                self.aptpl = *aptpl;
                Ok(Effects::default())
            }
        }
    }

    /// Everybody but REGISTER needs a registration under the key that it gives.
    fn check_key(&self, from: &NexusName, key: u64) -> Result<(), Refused> {
        if self.key_of(from) == Some(key) {
            Ok(())
        } else {
            Err(Refused::Conflict)
        }
    }

    /// Does what the table of register behaviours says.
    fn register(&mut self, from: &NexusName, register: &Register, known: &Known) -> Done {
        let registered = self.key_of(from);
        let expected = register.expected;
        if expected.is_some_and(|expected| registered.unwrap_or(0) != expected) {
            return Err(Refused::Conflict);
        }
        if registered.is_some() && register.others.is_some() {
            let sense = Sense::invalid_field_in_parameter_list(SPEC_I_PT_AT, Some(SPEC_I_PT_BIT));
            return Err(Refused::Sense(sense));
        }
        if registered.is_none() && register.key == 0 {
            return Ok(Effects::default());
        }
        let mut ports = BTreeSet::from([from.relative_port]);
        if register.all_target_ports {
            ports.extend(&known.target_ports);
        }
        let effects = if register.key == 0 {
            self.unregister_through(from, expected, &ports)
        } else {
            let others = self.named(register.others.as_deref().unwrap_or_default(), known)?;
            self.register_through(from, register, &ports, &others)?;
            Effects::default()
        };
        self.count_change();
        self.aptpl = register.aptpl;
        Ok(effects)
    }

    /// Registers a nexus through all `ports`, as if each of them had got the command, and those of
    /// the `others` that aren't registered yet.
    fn register_through(
        &mut self,
        from: &NexusName,
        register: &Register,
        ports: &BTreeSet<u16>,
        others: &BTreeSet<String>,
    ) -> Result<(), Refused> {
        let initiators = std::iter::once(&from.initiator_port)
            .chain(others.iter().filter(|port| **port != from.initiator_port));
        for initiator_port in initiators {
            for relative_port in ports {
                let nexus = NexusName {
                    initiator_port: initiator_port.clone(),
                    relative_port: *relative_port,
                };
                let now = self.key_of(&nexus).unwrap_or(0);
                let own = nexus.initiator_port == from.initiator_port;
                let wanted = if own { register.expected } else { Some(0) };
                if wanted.is_none_or(|wanted| wanted == now) && !self.set_key(&nexus, register.key)
                {
                    return Err(no_room());
                }
            }
        }
        Ok(())
    }

    /// The initiator ports that TransportIDs stand for.
    fn named(&self, ids: &[TransportId], known: &Known) -> Result<BTreeSet<String>, Refused> {
        let mut named = BTreeSet::new();
        for id in ids {
            match id {
                TransportId::Port(port) => {
                    named.insert(port.clone());
                }
                TransportId::Node(node) => {
                    // All ports of the node that are logged in or registered.
                    let registered = self.registrations.iter();
                    let registered = registered.map(|one| &one.nexus.initiator_port);
                    let all = known.initiator_ports.iter().chain(registered);
                    let mut of_node = all.filter(|port| node_of(port) == node).peekable();
                    if of_node.peek().is_none() {
                        let sense = Sense::invalid_field_in_parameter_list(TRANSPORT_IDS_AT, None);
                        return Err(Refused::Sense(sense));
                    }
                    named.extend(of_node.cloned());
                }
            }
            if named.len() > MAX_REGISTRATIONS {
                return Err(no_room());
            }
        }
        Ok(named)
    }

    /// Unregisters a nexus through all `ports`, as if each of them had got the command.
    fn unregister_through(
        &mut self,
        from: &NexusName,
        expected: Option<u64>,
        ports: &BTreeSet<u16>,
    ) -> Effects {
        let mut released = None;
        for relative_port in ports {
            let nexus = NexusName {
                initiator_port: from.initiator_port.clone(),
                relative_port: *relative_port,
            };
            if expected.is_none() || self.key_of(&nexus) == expected {
                let gone = self.unregister(&nexus);
                released = released.or(gone);
            }
        }
        match released {
            Some(kind) if kind.is_shared() => {
                self.tell_all_but(from, UnitAttention::ReservationsReleased)
            }
            _ => Effects::default(),
        }
    }

    fn reserve(&mut self, from: &NexusName, kind: ReservationType) -> Done {
        match &self.reservation {
            None => {
                let holder = (!kind.is_all_registrants()).then(|| from.clone());
                self.reservation = Some(Reservation { kind, holder });
                Ok(Effects::default())
            }
            Some(there) if there.kind == kind && self.is_holder(from) => Ok(Effects::default()),
            Some(_) => Err(Refused::Conflict),
        }
    }

    fn release(&mut self, from: &NexusName, scope_and_type: u8) -> Done {
        let Some(reservation) = &self.reservation else {
            return Ok(Effects::default());
        };
        if !self.is_holder(from) {
            return Ok(Effects::default());
        }
        let kind = reservation.kind;
        // The scope is always the logical unit: 0 in the upper half.
        if scope_and_type != kind.code() {
            let additional = AdditionalSense::INVALID_RELEASE_OF_PERSISTENT_RESERVATION;
            return Err(Refused::Sense(Sense::illegal_request(additional)));
        }
        self.reservation = None;
        if kind.is_shared() {
            Ok(self.tell_all_but(from, UnitAttention::ReservationsReleased))
        } else {
            Ok(Effects::default())
        }
    }

    /// Ends the reservation and all registrations; everybody who was registered is to be told.
    pub(crate) fn clear(&mut self) -> Effects {
        self.reservation = None;
        self.count_change();
        let gone = std::mem::take(&mut self.registrations);
        let tell = |nexus| (nexus, UnitAttention::ReservationsPreempted);
        Effects {
            attentions: gone.into_iter().map(|one| tell(one.nexus)).collect(),
            aborted: Vec::new(),
        }
    }

    fn move_to(
        &mut self,
        from: &NexusName,
        to: &NexusName,
        new_key: u64,
        unregister: bool,
    ) -> Result<(), Refused> {
        let parameter = |at| Refused::Sense(Sense::invalid_field_in_parameter_list(at, None));
        let Some(reservation) = &self.reservation else {
            // Nothing is there to be moved.
            return Err(Refused::Sense(Sense::invalid_field_in_cdb(1, Some(4))));
        };
        if reservation.kind.is_all_registrants() || !self.is_holder(from) {
            return Err(Refused::Conflict);
        }
        if new_key == 0 {
            return Err(parameter(SERVICE_ACTION_KEY_AT));
        }
        if to == from {
            return Err(parameter(MOVE_PORT_AT));
        }
        let kind = reservation.kind;
        if unregister {
            self.registrations.retain(|one| one.nexus != *from);
        }
        if !self.set_key(to, new_key) {
            return Err(no_room());
        }
        let holder = Some(to.clone());
        self.reservation = Some(Reservation { kind, holder });
        self.count_change();
        Ok(())
    }

    /// A unit attention for everybody who is registered but one.
    pub(super) fn tell_all_but(&self, from: &NexusName, attention: UnitAttention) -> Effects {
        let others = self.registrations.iter().filter(|one| one.nexus != *from);
        Effects {
            attentions: others.map(|one| (one.nexus.clone(), attention)).collect(),
            aborted: Vec::new(),
        }
    }
}

fn no_room() -> Refused {
    let additional = AdditionalSense::INSUFFICIENT_REGISTRATION_RESOURCES;
    Refused::Sense(Sense::illegal_request(additional))
}
