"""Errors that end a run or a scenario with one line that says what to do."""


class SetupError(Exception):
    """The run can't start: something that the harness needs is missing."""


class GuestError(Exception):
    """The guest didn't boot, died or stopped answering."""


class TargetError(Exception):
    """The target on the host refused a command, died or can't be reached."""


class BootError(GuestError):
    """The guest doesn't boot, however often it is tried: no scenario can run."""
