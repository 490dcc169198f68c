"""Shows results as text and JSON. It judges nothing."""

from collections import Counter
from dataclasses import dataclass

from verdicts import TestResult, Verdict


@dataclass
class SuiteRun:
    """One suite against one target."""

    suite: str
    results: list[TestResult]
    seconds: float
    problems: list[str]
    """What went wrong beside the tests: a daemon that died or didn't stop."""

    def count(self, verdict: Verdict) -> int:
        """How many tests ended so."""
        return sum(result.verdict is verdict for result in self.results)

    def counts(self) -> tuple[int, int, int]:
        """Passed, failed, skipped."""
        return self.count(Verdict.PASSED), self.count(Verdict.FAILED), self.count(Verdict.SKIPPED)

    def line(self) -> str:
        """Progress in one line."""
        passed, failed, skipped = self.counts()
        return f"{self.suite}: {passed} passed, {failed} failed, {skipped} skipped ({self.seconds:.1f} s)"


def table(version: str, runs: list[SuiteRun]) -> str:
    """One row per suite, then the reasons of skips."""
    rows = [("suite", "passed", "failed", "skipped")]
    rows += [(run.suite, *map(_number, run.counts())) for run in runs]
    rows.append(("total", *map(str, _totals(runs))))
    reasons = [f"  {run.suite}: {_skip_reasons(run)}" for run in runs if run.count(Verdict.SKIPPED)]
    return "\n".join([version, _align(rows), *(["why skipped:", *reasons] if reasons else [])])


def side_by_side(versions: dict[str, str], runs: dict[str, list[SuiteRun]]) -> str:
    """Two targets, suite by suite: passed / failed / skipped of each."""
    first, second = runs
    rows = [("suite", f"{versions[first]}: passed", "failed", "skipped", f"{versions[second]}: passed", "failed", "skipped")]
    for left, right in zip(runs[first], runs[second], strict=True):
        rows.append((left.suite, *map(_number, left.counts()), *map(_number, right.counts())))
    rows.append(("total", *map(str, _totals(runs[first])), *map(str, _totals(runs[second]))))
    return _align(rows)


def details(name: str, runs: list[SuiteRun]) -> str:
    """Every failure with its assertions."""
    lines = []
    for result in (result for run in runs for result in run.results):
        if result.verdict is Verdict.FAILED:
            lines.append(f"{name}: FAILED {result.name}")
            lines += [f"    {reason}" for reason in result.reasons[:5]]
    return "\n".join(lines) + "\n" if lines else ""


def as_json(versions: dict[str, str], runs: dict[str, list[SuiteRun]]) -> dict:
    """Everything, for machines."""
    return {
        name: {
            "version": versions[name],
            "suites": [
                {
                    "suite": run.suite,
                    "seconds": round(run.seconds, 2),
                    "problems": run.problems,
                    "tests": [
                        {"test": result.test, "verdict": result.verdict.value, "reasons": result.reasons}
                        for result in run.results
                    ],
                }
                for run in runs[name]
            ],
        }
        for name in runs
    }


def _totals(runs: list[SuiteRun]) -> tuple[int, int, int]:
    total = Counter(result.verdict for run in runs for result in run.results)
    return total[Verdict.PASSED], total[Verdict.FAILED], total[Verdict.SKIPPED]


def _skip_reasons(run: SuiteRun) -> str:
    reasons = Counter(
        result.reasons[0] for result in run.results if result.verdict is Verdict.SKIPPED and result.reasons
    )
    return "; ".join(f"{reason} ({count})" if count > 1 else reason for reason, count in reasons.items())


def _number(count: int) -> str:
    return str(count) if count else "-"


def _align(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    rule = "-" * max(map(len, lines))
    lines[1:] = [rule, *lines[1:-1], rule, lines[-1]]
    return "\n".join(lines)
