"""What is known beforehand: skips that are right, and quarrels with the suite.

Both are kept in `expectations.toml`. A skip or a failure that isn't named
there fails the run, and so does an entry that no longer applies: otherwise a
command that stops being advertised would turn into a silent skip.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from verdicts import TestResult, Verdict

FILE = Path(__file__).resolve().parent / "expectations.toml"


@dataclass(frozen=True)
class Expectations:
    """Names of tests (`Suite.Test`, or `Suite.*` for skips) and why."""

    skips: dict[str, str]
    quarrels: dict[str, str]
    some_builds: frozenset[str] = frozenset()
    """Quarrels with some builds of the suite only: with others the test passes."""

    @classmethod
    def load(cls, file: Path = FILE) -> "Expectations":
        """Reads the file; every quarrel must give a reason and the clause it rests on."""
        document = tomllib.loads(file.read_text())
        quarrels = {}
        some_builds = set()
        for name, quarrel in document.get("quarrels", {}).items():
            if not quarrel.get("reason") or not quarrel.get("clause"):
                raise ValueError(f"{file.name}: the quarrel {name} needs a reason and a clause")
            quarrels[name] = f"{quarrel['reason']} ({quarrel['clause']})"
            if quarrel.get("some_builds", False):
                some_builds.add(name)
        return cls(document.get("skips", {}), quarrels, frozenset(some_builds))

    @classmethod
    def none(cls) -> "Expectations":
        """For targets that aren't ours: nothing is expected."""
        return cls({}, {})

    def skip_reason(self, result: TestResult) -> str | None:
        """Why this test may be skipped."""
        return self.skips.get(result.name) or self.skips.get(f"{result.suite}.*")

    def known_quarrels(self, results: list[TestResult]) -> list[str]:
        """The failures that don't count, with why: to be shown beside the table."""
        return [
            f"known quarrel: {result.name} failed: {self.quarrels[result.name]}"
            for result in results
            if result.verdict is Verdict.FAILED and result.name in self.quarrels
        ]

    def problems(self, results: list[TestResult]) -> list[str]:
        """Everything that makes the run fail, one line each."""
        found = []
        for result in results:
            why = "; ".join(result.reasons)
            if result.verdict is Verdict.FAILED and result.name not in self.quarrels:
                found.append(f"{result.name} failed: {why}")
            elif result.verdict is Verdict.SKIPPED and self.skip_reason(result) is None:
                found.append(f"{result.name} was skipped, which expectations.toml doesn't foresee: {why}")
        return found + self._stale(results)

    def _stale(self, results: list[TestResult]) -> list[str]:
        found = []
        suites_run = {result.suite for result in results}
        for name in self.quarrels:
            if name in self.some_builds:
                continue
            if name.split(".")[0] in suites_run and not _any(results, name, Verdict.FAILED):
                found.append(f"expectations.toml: the quarrel {name} no longer fails: remove it")
        for name in self.skips:
            if name.split(".")[0] in suites_run and not _any(results, name, Verdict.SKIPPED):
                found.append(f"expectations.toml: {name} is no longer skipped: remove it")
        return found


def _any(results: list[TestResult], name: str, verdict: Verdict) -> bool:
    return any(
        result.verdict is verdict and name in (result.name, f"{result.suite}.*") for result in results
    )
