"""Shows results as text and JSON. It judges nothing."""

from collections import Counter
from dataclasses import dataclass

from expectations import Expectations
from verdicts import TestResult, Verdict


@dataclass
class SuiteRun:
    """One suite against one target."""

    suite: str
    results: list[TestResult]
    seconds: float
    problems: list[str]
    """What went wrong beside the tests: a daemon that died or didn't stop."""

    def line(self) -> str:
        """Progress in one line."""
        counts = ", ".join(f"{number} {verdict.value}" for verdict, number in _counts(self.results))
        return f"{self.suite}: {counts} ({self.seconds:.1f} s)"


@dataclass
class Column:
    """One pass of all suites against one target: a column of the table."""

    target: str
    entry: str
    runs: list[SuiteRun]

    @property
    def results(self) -> list[TestResult]:
        """Those of all suites."""
        return [result for run in self.runs for result in run.results]


def table(columns: list[Column]) -> str:
    """One row per suite and one column per pass; all columns have the same suites."""
    several = len({column.target for column in columns}) > 1
    heads = [f"{column.target} {column.entry}" if several else column.entry for column in columns]
    rows = [("suite", *heads)]
    for index, run in enumerate(columns[0].runs):
        rows.append((run.suite, *(_cell(column.runs[index].results) for column in columns)))
    rows.append(("total", *(_cell(column.results) for column in columns)))
    return f"{_align(rows)}\n(how many passed; F: failed, s: skipped, w: wrote to the read-only LUN and was refused)"


def skip_lines(columns: list[Column], expectations: Expectations) -> list[str]:
    """Which tests were skipped in which passes, what the suite says, and why that is right."""
    where: dict[tuple[str, str, str | None], Counter[str]] = {}
    for column in columns:
        for result in (result for result in column.results if result.verdict is Verdict.SKIPPED):
            key = (result.suite, result.reasons[0], expectations.skip_reason(column.entry, result))
            where.setdefault(key, Counter())[column.entry] += 1
    every = [column.entry for column in columns]
    lines = []
    for (suite, said, why), counts in where.items():
        passes = "all passes" if list(counts) == every else ", ".join(counts)
        known = f": {why}" if why else ""
        lines.append(f"  {suite} ({max(counts.values())} in {passes}), \"{said}\"{known}")
    return ["why skipped:", *lines] if lines else []


def details(column: Column) -> str:
    """Every failure with its assertions."""
    lines = []
    for result in (result for result in column.results if result.verdict is Verdict.FAILED):
        lines.append(f"{column.target} {column.entry}: FAILED {result.name}")
        lines += [f"    {reason}" for reason in result.reasons[:5]]
    return "".join(f"{line}\n" for line in lines)


def as_json(versions: dict[str, str], columns: list[Column]) -> dict:
    """Everything, for machines."""
    return {
        name: {
            "version": version,
            "passes": {column.entry: [_suite(run) for run in column.runs] for column in columns if column.target == name},
        }
        for name, version in versions.items()
    }


def _suite(run: SuiteRun) -> dict:
    return {
        "suite": run.suite,
        "seconds": round(run.seconds, 2),
        "problems": run.problems,
        "tests": [
            {"test": result.test, "verdict": result.verdict.value, "reasons": result.reasons} for result in run.results
        ],
    }


def _counts(results: list[TestResult]) -> list[tuple[Verdict, int]]:
    """How often each verdict came that came at all, in the order of the verdicts."""
    counts = Counter(result.verdict for result in results)
    return [(verdict, counts[verdict]) for verdict in Verdict if counts[verdict]]


def _cell(results: list[TestResult]) -> str:
    letters = {Verdict.PASSED: "", Verdict.FAILED: "F", Verdict.SKIPPED: "s", Verdict.REFUSED: "w"}
    return " ".join(f"{number}{letters[verdict]}" for verdict, number in _counts(results)) or "-"


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
