//! Any sequence of commands, their data and the outcomes of their operations against a logical unit.

/// Runs the checks that the SCSI crate keeps for this purpose.
pub fn check(input: &[u8]) {
    tidelock_scsi::fuzz_commands(input);
}
