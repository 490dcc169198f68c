"""Reads what iscsi-test-cu says. It knows nothing about how the suite was run.

Its own summary isn't used: it counts skipped tests as passed, and its
`[FAILED]` lines are log lines of single commands, which a test may expect. The
verdict of a test is the bare word `passed` or `FAILED` that CUnit prints after
it, either right after `Test: Name ...` or at the start of a line.
"""

import re
from dataclasses import dataclass, field
from enum import Enum

TEST = re.compile(r"^\s*Test: (?P<name>\S+) \.\.\.(?P<rest>.*)$")
VERDICT = re.compile(r"^(?P<word>passed|FAILED)")
SKIPPED = re.compile(r"\[SKIPPED\]\s*(?P<reason>.*)$")
ASSERTION = re.compile(r"^\s+\d+\. (?P<text>.+)$")
WRITE_PROTECTED = re.compile(
    r"DATA PROTECTION\((0x0)?7\).*WRITE_PROTECTED|\(0x07\)/\(0x2700\)"
    # What a copy says of a destination that can't be written to: THIRD PARTY DEVICE FAILURE.
    r"|COPY ABORTED\(0x0a\).*\(0x0d01\)"
)
LISTED = re.compile(r"^ALL\.(?P<suite>[^.\s]+)\.(?P<test>\S+)$")


class Verdict(Enum):
    """How one test ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    REFUSED = "refused"
    """Failed, for it wrote to a LUN that may not be written to. Only `Expectations.settle` says so."""


@dataclass
class TestResult:
    """One test: its verdict, and why if it didn't pass."""

    suite: str
    test: str
    verdict: Verdict
    reasons: list[str] = field(default_factory=list)
    complete: bool = True
    """Whether the suite came to a verdict of its own."""
    write_protected: bool = False
    """Whether a command was refused because the LUN is write-protected, by what the suite says."""

    @property
    def name(self) -> str:
        """As `iscsi-test-cu -t ALL.` takes it."""
        return f"{self.suite}.{self.test}"


def listed_tests(listing: str) -> dict[str, list[str]]:
    """The suites of family ALL with their tests, from `iscsi-test-cu -l`, in its order."""
    suites: dict[str, list[str]] = {}
    for line in listing.splitlines():
        if match := LISTED.match(line.strip()):
            suites.setdefault(match["suite"], []).append(match["test"])
    return suites


def read(suite: str, tests: list[str], output: str, ended: str | None) -> list[TestResult]:
    """One result per listed test of a suite.

    `ended` says how the run was cut short (time limit, signal); a test
    without a verdict has failed, whatever the reason.
    """
    found = {result.test: result for result in _results(suite, output)}
    results = []
    for test in tests:
        result = found.pop(test, None)
        if result is None:
            why = ended or "iscsi-test-cu printed no verdict"
            result = TestResult(suite, test, Verdict.FAILED, [_with_last_line(why, output)], complete=False)
        results.append(result)
    # A test that isn't on the list means that the list was misread: never drop it silently.
    for stray in found.values():
        stray.verdict = Verdict.FAILED
        stray.reasons.append("not in the list of `iscsi-test-cu -l`")
        results.append(stray)
    return results


def unsettled(results: list[TestResult]) -> list[TestResult]:
    """What came after a failure and was skipped, or has no verdict: the failure may be the only reason.

    A suite doesn't log in again after a test that lost its session.
    """
    failed = [number for number, result in enumerate(results) if result.verdict is Verdict.FAILED]
    return [
        result
        for result in (results[failed[0] + 1 :] if failed else [])
        if result.verdict is Verdict.SKIPPED or not result.complete
    ]


def _results(suite: str, output: str) -> list[TestResult]:
    results: list[TestResult] = []
    current: str | None = None
    skips: list[str] = []
    protected = False
    lines = output.splitlines()
    for number, line in enumerate(lines):
        if match := TEST.match(line):
            current, skips, protected = match["name"], [], False
            line = match["rest"]
        if current is None:
            continue
        protected = protected or WRITE_PROTECTED.search(line) is not None
        if match := SKIPPED.search(line):
            skips.append(match["reason"].strip() or "no reason given")
        elif match := VERDICT.match(line):
            result = _result(suite, current, match["word"], skips, lines[number + 1 :])
            result.write_protected = protected
            results.append(result)
            current = None
    return results


def _result(suite: str, test: str, word: str, skips: list[str], following: list[str]) -> TestResult:
    if word == "FAILED":
        return TestResult(suite, test, Verdict.FAILED, _assertions(following) or ["no assertion named"])
    if skips:
        return TestResult(suite, test, Verdict.SKIPPED, list(dict.fromkeys(skips)))
    return TestResult(suite, test, Verdict.PASSED)


def _assertions(following: list[str]) -> list[str]:
    texts = []
    for line in following:
        match = ASSERTION.match(line)
        if match is None:
            break
        # What the next suite logs may be glued to the last assertion, after a wide gap.
        text = re.split(r"\s{4,}", match["text"])[0]
        texts.append(" ".join(text.split()))
    return list(dict.fromkeys(texts))


def _with_last_line(why: str, output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return f"{why}; last line: {lines[-1]}" if lines else f"{why}; no output"
