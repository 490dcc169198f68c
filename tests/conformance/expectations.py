"""What is known beforehand: skips that are right, writes that are refused, and quarrels with the suite.

All are kept in `expectations.toml`. A skip or a failure that isn't named
there fails the run, and so does an entry that no longer applies: otherwise a
command that stops being advertised would turn into a silent skip.
"""

import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from passes import PASSES
from verdicts import TestResult, Verdict

READ_ONLY = [entry.name for entry in PASSES.values() if entry.read_only]
FILE = Path(__file__).resolve().parent / "expectations.toml"


@dataclass(frozen=True)
class Entry:
    """One test (`Suite.Test`) or several of a suite (`Suite.*`) that needn't pass in some passes, and why."""

    name: str
    reason: str
    passes: frozenset[str]
    some_builds: bool = False
    """Whether other builds of the suite may do without it."""

    def covers(self, entry: str, result: TestResult) -> bool:
        """Whether it is about this test of this pass."""
        return entry in self.passes and fnmatchcase(result.name, self.name)


@dataclass(frozen=True)
class Expectations:
    """The entries of the file."""

    skips: list[Entry]
    quarrels: list[Entry]
    writes: list[Entry]
    """Tests that write without asking whether they may, in the passes where they may not."""

    @classmethod
    def load(cls, file: Path = FILE) -> "Expectations":
        """Reads the file; every quarrel must give the clause it rests on."""
        document = tomllib.loads(file.read_text())
        skips = [_entry(name, value) for name, value in _pairs(document.get("skips", {}))]
        quarrels = []
        for name, value in _pairs(document.get("quarrels", {})):
            if not value.get("clause"):
                raise ValueError(f"{file.name}: the quarrel {name} needs a clause")
            reason, clause = value.get("reason"), value.pop("clause")
            quarrels.append(_entry(name, {**value, "reason": reason and f"{reason} ({clause})"}))
        writes = [_entry(name, {"reason": "it writes", "passes": READ_ONLY}) for name in document.get("writes", [])]
        return cls(skips, quarrels, writes)

    def settle(self, entry: str, results: list[TestResult]) -> None:
        """Tells a write that was rightly refused from a failure: the test must be known to write, and say so."""
        for result in results:
            if result.verdict is Verdict.FAILED and result.write_protected:
                if any(known.covers(entry, result) for known in self.writes):
                    result.verdict = Verdict.REFUSED

    def skip_reason(self, entry: str, result: TestResult) -> str | None:
        """Why this test may be skipped in this pass."""
        return next((skip.reason for skip in self.skips if skip.covers(entry, result)), None)

    def known_quarrels(self, passes: dict[str, list[TestResult]]) -> list[str]:
        """The failures that don't count, with why and in which passes: to be shown beside the table."""
        where: dict[tuple[str, str], list[str]] = {}
        for entry, results in passes.items():
            for result in (result for result in results if result.verdict is Verdict.FAILED):
                if quarrel := self._quarrel(entry, result):
                    where.setdefault((result.name, quarrel.reason), []).append(entry)
        return [f"known quarrel: {name} failed ({', '.join(found)}): {reason}" for (name, reason), found in where.items()]

    def problems(self, entry: str, results: list[TestResult]) -> list[str]:
        """Everything that makes a pass fail, one line each."""
        found = []
        for result in results:
            why = "; ".join(result.reasons)
            if result.verdict is Verdict.FAILED and self._quarrel(entry, result) is None:
                found.append(f"{result.name} failed: {why}")
            elif result.verdict is Verdict.SKIPPED and self.skip_reason(entry, result) is None:
                found.append(f"{result.name} was skipped, which expectations.toml doesn't foresee: {why}")
        kinds = (
            ("quarrel", self.quarrels, Verdict.FAILED),
            ("skip", self.skips, Verdict.SKIPPED),
            ("write", self.writes, Verdict.REFUSED),
        )
        for kind, entries, verdict in kinds:
            for known in entries:
                # Another build of the suite may lack the test.
                covered = [result for result in results if known.covers(entry, result)]
                if covered and not known.some_builds and all(result.verdict is not verdict for result in covered):
                    found.append(f"expectations.toml: the {kind} {known.name} no longer applies: remove it")
        return found

    def _quarrel(self, entry: str, result: TestResult) -> Entry | None:
        return next((quarrel for quarrel in self.quarrels if quarrel.covers(entry, result)), None)


def _pairs(section: dict) -> list[tuple[str, dict]]:
    """One pair per entry: a value is a reason, or a table, or several tables for passes that differ."""
    pairs = []
    for name, value in section.items():
        for one in value if isinstance(value, list) else [value]:
            pairs.append((name, {"reason": one} if isinstance(one, str) else dict(one)))
    return pairs


def _entry(name: str, value: dict) -> Entry:
    passes = frozenset(value.pop("passes", PASSES)) - frozenset(excepted := value.pop("except", []))
    reason, some_builds = value.pop("reason", ""), value.pop("some_builds", False)
    unknown = (passes | frozenset(excepted)) - frozenset(PASSES)
    if not reason or value or unknown or not passes:
        raise ValueError(f"expectations.toml: {name} needs a reason and passes that exist, nothing else")
    return Entry(name, reason, passes, some_builds)
