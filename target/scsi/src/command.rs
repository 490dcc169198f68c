//! A command as it arrives from the transport.

/// The task attribute (SAM-6). Values on the wire are the transport's own business.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TaskAttribute {
    /// No attribute was given; treated as SIMPLE.
    #[default]
    Untagged,
    /// May be reordered with other SIMPLE commands.
    Simple,
    /// Runs after all earlier commands and before all later ones.
    Ordered,
    /// Runs before everything that waits.
    HeadOfQueue,
    /// Auto contingent allegiance; not supported.
    Aca,
}

/// One SCSI command, borrowed from the transport for the time of [`crate::LogicalUnit::begin`].
#[derive(Clone, Copy, Debug)]
pub struct Command<'a> {
    /// The CDB. Transports pad short ones; bytes behind the CDB's own length are ignored.
    pub cdb: &'a [u8],
    /// How many bytes the initiator is ready to move in the direction that it flagged.
    pub expected_length: u32,
    /// The initiator expects data-in.
    pub read: bool,
    /// The initiator will send data-out.
    pub write: bool,
    /// The task attribute.
    pub attribute: TaskAttribute,
    /// The LUNs that this I_T nexus can see, each as its eight bytes read big-endian, for REPORT
    /// LUNS.
    pub luns: &'a [u64],
}

impl Command<'_> {
    /// How many bytes of data-out the initiator can send at most.
    #[must_use]
    pub(crate) fn data_out_available(&self) -> u32 {
        if self.write { self.expected_length } else { 0 }
    }
}
