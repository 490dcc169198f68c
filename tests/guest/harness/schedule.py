"""Which scenario a lane runs next: a pure decision.

Only the end of a run is lost time: when one lane has nothing left and another
is busy. So the longest are begun first, by their limits, which are all that is
known beforehand. To boot another kind of guest costs more than any order
gains, so a lane stays with its kind while it can.
"""

from collections.abc import Collection, Sequence

from .scenarios import Scenario


class Schedule:
    """The scenarios that no lane has taken yet."""

    def __init__(self, scenarios: Sequence[Scenario], lanes: int):
        """With one lane there is nothing to gain, and the order is that of `scenarios`."""
        self._waiting = list(scenarios)
        if lanes > 1:
            self._waiting.sort(key=lambda scenario: -scenario.limit)

    @property
    def waiting(self) -> list[Scenario]:
        """What nobody has taken."""
        return list(self._waiting)

    def take(self, kind: str, others: Collection[str]) -> Scenario | None:
        """The next one for a lane whose guest is of this kind ('' if it has none), or None if nothing is left.

        `others` are the kinds that are up in the other lanes.
        """
        def order(scenario: Scenario) -> tuple[bool, bool]:
            return scenario.guest != kind, scenario.guest in others

        # `min` takes the first of equals, so the order of the list holds among them.
        taken = min(self._waiting, key=order, default=None)
        if taken is not None:
            self._waiting.remove(taken)
        return taken
