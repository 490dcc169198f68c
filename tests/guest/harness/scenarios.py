"""Finds the scenarios and carries out what they ask of the host."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import SetupError, TargetError
from .guest import KINDS
from .targets import Target


SLOWER = 3
"""How much longer a scenario that was written for user-mode Linux may take in an emulated guest."""


def _usual_kind() -> str:
    """User-mode Linux, where it runs: the registers of processors with AMX don't fit into what Linux 6.1's keeps of them, so its first process dies."""
    flags = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")), "")
    return "qemu" if "amx_tile" in flags.split() else "uml"


@dataclass(frozen=True)
class Scenario:
    """A script named NN-name.sh, which runs in the guest."""

    name: str
    file: str
    """Its path as the guest sees it, under the folder of the guest tests."""
    limit: float
    """Seconds until it is ended as failed, from its `# limit:` line."""
    guest: str
    """The kind of guest, from its `# guest:` line."""
    expect: str | None
    """How it must end, as a pattern, from its `# expect:` line: for the tests of the harness itself."""

    def judge(self, verdict: str, why: str) -> tuple[str, str]:
        """The verdict on a scenario that ended so: itself, unless another end was expected."""
        if self.expect is None:
            return verdict, why
        ended = f"{verdict} {why}".strip()
        if re.match(self.expect, ended):
            return "PASS", ""
        return "FAIL", f"must end with '{self.expect}' and ended with '{ended}'"


def load(folder: Path) -> list[Scenario]:
    """All scenarios in the order of their numbers, but those of one kind of guest together."""
    scenarios = [_parse(path) for path in sorted(folder.glob("*.sh"))]
    return sorted(scenarios, key=lambda scenario: list(KINDS).index(scenario.guest))


def select(scenarios: list[Scenario], names: list[str]) -> list[Scenario]:
    """Those with these names, or all if there are none."""
    known = {scenario.name for scenario in scenarios}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SetupError(f"no scenario is called {', '.join(unknown)}; there are: {', '.join(sorted(known))}")
    return [scenario for scenario in scenarios if not names or scenario.name in names]


def _parse(path: Path) -> Scenario:
    name = re.fullmatch(r"\d\d-([a-z0-9-]+)", path.stem)
    text = path.read_text()
    limit = re.search(r"^# limit: (\d+)$", text, re.MULTILINE)
    expect = re.search(r"^# expect: (.+)$", text, re.MULTILINE)
    guest = re.search(r"^# guest: (.+)$", text, re.MULTILINE)
    kind = guest.group(1) if guest else _usual_kind()
    if name is None or limit is None or kind not in KINDS:
        raise SetupError(
            f"{path.name} must be named NN-name.sh and have a line '# limit: SECONDS'; "
            f"it may have a line '# guest: KIND' with one of {', '.join(KINDS)}"
        )
    return Scenario(
        name=name.group(1),
        file=f"{path.parent.name}/{path.name}",
        limit=(float(limit.group(1)) + _longer(text)) * (SLOWER if kind != "uml" and guest is None else 1),
        guest=kind,
        expect=expect.group(1) if expect else None,
    )


class Requests:
    """Answers the `host ...` lines of one scenario."""

    def __init__(self, target: Target, logs: Path):
        self._target = target
        self._logs = logs
        self._commands = {
            "volume": target.volume_create,
            "resize": target.volume_resize,
            "target": target.target_create,
            "map": target.lun_map,
            "unmap": target.lun_unmap,
            "allow": target.allow,
            "drop": target.drop_sessions,
            "tidelock": target.command_line,
            "portals": target.listen_on,
            "options": target.run_with,
            "second": target.second,
            "leases": target.leases,
            "allocated": target.allocated,
            "secret": target.secret_file,
            "keep": self._keep,
            "flip": target.flip_byte,
            "start": target.start,
            "kill": target.kill,
            "stop": target.stop,
            "freeze": target.freeze,
            "thaw": target.thaw,
            "supports": self._supports,
        }

    def serve(self, words: list[str]) -> tuple[bool, str]:
        """Carries out one request; returns whether it went well, and an explanation."""
        command = self._commands.get(words[0])
        if command is None:
            return False, f"the host knows no '{words[0]}', only {', '.join(sorted(self._commands))}"
        try:
            said = command(*words[1:])
        except (TargetError, OSError, TypeError, ValueError, KeyError) as error:
            return False, " ".join(str(error).split())
        return True, " ".join((said or "").split())

    def _supports(self, feature: str) -> None:
        if feature in self._target.missing:
            raise TargetError(f"this target has no {feature}")

    def _keep(self, name: str, *lines: str) -> None:
        """Writes a text that is to be shown after the run."""
        (self._logs / Path(name).name).write_text("".join(f"{line}\n" for line in lines))


def _longer(text: str) -> float:
    """Seconds that the long run of a scenario needs on top: those of its `# per kill:` line, for each kill more than 10."""
    each = re.search(r"^# per kill: (\d+)$", text, re.MULTILINE)
    kills = int(os.environ.get("TIDELOCK_KILLS", "10"))
    return float(each.group(1)) * max(0, kills - 10) if each else 0.0
