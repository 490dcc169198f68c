"""The runner's own logic: the parser against what iscsi-test-cu was seen to print, expectations, the table."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from expectations import Expectations  # noqa: E402  (the path has to be set first)
from passes import CHAP, PASSES  # noqa: E402
from report import Column, SuiteRun, skip_lines, table  # noqa: E402
from verdicts import TestResult, Verdict, listed_tests, read, unsettled  # noqa: E402

OUTPUT = """\
     CUnit - A unit testing framework for C - Version 2.1-3

Suite: Demo
  Test: Quick ...passed
  Test: Logged ...
    Send READ10 (Expecting CHECK_CONDITION) LBA:0
    [FAILED] READ10 returned something else, as this test wants
passed    Send PRIN/READ_KEYS
  Test: Skips ...
    [SKIPPED] COMPAREANDWRITE is not implemented.
    [SKIPPED] COMPAREANDWRITE is not implemented.
passed
  Test: Breaks ...
    [SKIPPED] half of it
FAILED
    1. test_read10_simple.c:37  - CU_ASSERT_EQUAL(ret,0)
    2. test_read10_simple.c:37  - CU_ASSERT_EQUAL(ret,0)
    3. test_read10_simple.c:40  - CU_ASSERT_EQUAL(ret,0)    Send PRIN/READ_KEYS

Run Summary:    Type  Total    Ran Passed Failed Inactive
               tests      4      4      4      0        0
"""


def verdicts(tests: list[str], output: str = OUTPUT, ended: str | None = None) -> dict[str, Verdict]:
    return {result.test: result.verdict for result in read("Demo", tests, output, ended)}


class Verdicts(unittest.TestCase):
    def test_the_bare_word_is_the_verdict(self):
        self.assertEqual(
            verdicts(["Quick", "Logged", "Skips", "Breaks"]),
            {
                "Quick": Verdict.PASSED, "Logged": Verdict.PASSED,
                "Skips": Verdict.SKIPPED, "Breaks": Verdict.FAILED,
            },
        )

    def test_a_failure_names_each_assertion_once(self):
        broken = read("Demo", ["Quick", "Logged", "Skips", "Breaks"], OUTPUT, None)[3]
        self.assertEqual(
            broken.reasons,
            [f"test_read10_simple.c:{line} - CU_ASSERT_EQUAL(ret,0)" for line in (37, 40)],
        )

    def test_a_skip_names_its_reason_once(self):
        skipped = read("Demo", ["Quick", "Logged", "Skips", "Breaks"], OUTPUT, None)[2]
        self.assertEqual(skipped.reasons, ["COMPAREANDWRITE is not implemented."])

    def test_a_listed_test_without_a_verdict_has_failed(self):
        cut = OUTPUT.split("FAILED\n    1.")[0]
        results = read("Demo", ["Quick", "Logged", "Skips", "Breaks"], cut, "killed after 60 s")
        self.assertEqual(results[3].verdict, Verdict.FAILED)
        self.assertIn("killed after 60 s", results[3].reasons[0])

    def test_no_output_at_all_fails_every_test(self):
        self.assertEqual(set(verdicts(["A", "B"], "").values()), {Verdict.FAILED})

    def test_an_unlisted_test_is_a_failure(self):
        self.assertEqual(verdicts(["Logged", "Skips", "Breaks"])["Quick"], Verdict.FAILED)

    def test_the_list_keeps_family_all_only(self):
        listing = "ALL\nALL.Read10\nALL.Read10.Simple\nALL.Read10.BeyondEol\nSCSI.Read10.Simple\n"
        self.assertEqual(listed_tests(listing), {"Read10": ["Simple", "BeyondEol"]})

    def test_a_refused_write_is_told_apart_in_every_wording(self):
        for words in (
            "[FAILED] WRITE10 command failed with status 2 / sense key DATA PROTECTION(0x07) / ASCQ WRITE_PROTECTED(0x2700)",
            "[FAILED] Target returned error SENSE KEY:DATA PROTECTION(7) ASCQ:WRITE_PROTECTED(0x2700)",
            "[FAILED] WRITE10 failed with wrong sense. Should have failed with ILLEGAL_REQUEST(0x05)/"
            "LBA_OUT_OF_RANGE(0x2100) but failed with Sense: (null)(0x07)/(0x2700)",
            "[FAILED] EXTENDEDCOPY command failed with status 2 / sense key COPY ABORTED(0x0a) / ASCQ (null)(0x0d01)",
        ):
            output = f"  Test: Write ...\n    {words}\nFAILED\n    1. a.c:1  - CU_ASSERT(0)\n  Test: Next ...passed\n"
            results = read("Demo", ["Write", "Next"], output, None)
            self.assertEqual([result.write_protected for result in results], [True, False], words)

    def test_what_comes_after_a_failure_is_settled_by_itself(self):
        def result(test: str, verdict: Verdict, complete: bool = True) -> TestResult:
            return TestResult("Demo", test, verdict, complete=complete)

        before, failed = result("Before", Verdict.SKIPPED), result("Fails", Verdict.FAILED)
        after = [result("Skips", Verdict.SKIPPED), result("Passes", Verdict.PASSED), result("Hangs", Verdict.FAILED, False)]
        self.assertEqual([r.test for r in unsettled([before, failed, *after])], ["Skips", "Hangs"])
        self.assertEqual(unsettled([before, after[1]]), [])


def results(**verdicts: str) -> list[TestResult]:
    return [
        TestResult("Demo", test, Verdict(verdict.removesuffix("!")), ["so"], write_protected=verdict.endswith("!"))
        for test, verdict in verdicts.items()
    ]


class KnownBeforehand(unittest.TestCase):
    FILE = """
        writes = ["Demo.Writes"]
        [skips]
        "Demo.Skips" = { reason = "another pass has it", except = ["read-only"] }
        [quarrels."Demo.Fails"]
        reason = "it is wrong"
        clause = "the clause"
        passes = ["writable"]
        [quarrels."Demo.Some"]
        reason = "some are wrong"
        clause = "the clause"
        some_builds = true
    """

    def problems(self, entry: str, **verdicts: str) -> list[str]:
        expectations = self.load(self.FILE)
        found = results(**verdicts)
        expectations.settle(entry, found)
        return expectations.problems(entry, found)

    def load(self, text: str) -> Expectations:
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(text)
            file.flush()
            return Expectations.load(Path(file.name))

    def test_what_is_foreseen_in_a_pass_is_no_problem_there(self):
        self.assertEqual(self.problems("writable", Skips="skipped", Fails="failed", Some="failed", Other="passed"), [])

    def test_it_is_one_in_another_pass(self):
        self.assertEqual(len(self.problems("4096", Fails="failed")), 1)
        self.assertEqual(len(self.problems("read-only", Skips="skipped")), 1)

    def test_what_isnt_foreseen_is_a_problem(self):
        self.assertEqual(len(self.problems("writable", Other="failed", More="skipped")), 2)

    def test_an_entry_that_no_longer_applies_is_a_problem_unless_other_builds_need_it(self):
        self.assertEqual(len(self.problems("writable", Fails="passed")), 1)
        self.assertEqual(len(self.problems("4096", Skips="passed")), 1)
        self.assertEqual(self.problems("4096", Fails="passed"), [])
        self.assertEqual(self.problems("writable", Some="passed"), [])

    def test_an_entry_whose_test_another_build_lacks_is_none(self):
        self.assertEqual(self.problems("writable", Other="passed"), [])

    def test_a_write_is_refused_only_on_the_read_only_lun_and_only_for_that_reason(self):
        self.assertEqual(self.problems("read-only", Writes="failed!"), [])
        self.assertEqual(len(self.problems("read-only", Writes="failed")), 2)
        self.assertEqual(len(self.problems("read-only", Writes="passed")), 1)
        self.assertEqual(len(self.problems("writable", Writes="failed!")), 1)
        self.assertEqual(len(self.problems("read-only", Other="failed!")), 1)

    def test_an_entry_without_reason_clause_or_known_pass_is_refused(self):
        for text in (
            '[skips]\n"Demo.A" = ""',
            '[skips]\n"Demo.A" = { reason = "so", passes = ["no such"] }',
            '[skips]\n"Demo.A" = { reason = "so", except = ["no such"] }',
            '[skips]\n"Demo.A" = { reason = "so", pases = ["4096"] }',
            '[quarrels."Demo.A"]\nreason = "so"',
            '[quarrels."Demo.A"]\nclause = "there"',
        ):
            with self.assertRaises(ValueError, msg=text):
                self.load(text)

    def test_the_file_of_the_tree_can_be_read(self):
        self.assertTrue(Expectations.load().skips)


class Report(unittest.TestCase):
    def columns(self) -> list[Column]:
        first = SuiteRun("Demo", results(A="passed", B="skipped", C="failed"), 1.0, [])
        second = SuiteRun("Demo", results(A="passed", B="passed", C="refused"), 1.0, [])
        return [Column("tidelock", "writable", [first]), Column("tidelock", "read-only", [second])]

    def test_the_table_has_a_column_per_pass(self):
        lines = table(self.columns()).splitlines()
        self.assertEqual(lines[0].split(), ["suite", "writable", "read-only"])
        self.assertEqual(lines[2].split(), ["Demo", "1", "1F", "1s", "2", "1w"])
        self.assertEqual(lines[4].split(), ["total", "1", "1F", "1s", "2", "1w"])

    def test_a_skip_is_named_with_what_the_suite_says_and_why_it_is_right(self):
        known = KnownBeforehand().load('[skips]\n"Demo.*" = "foreseen"')
        self.assertEqual(skip_lines(self.columns(), known)[1:], ['  Demo (1 in writable), "so": foreseen'])


class Passes(unittest.TestCase):
    def test_only_where_a_secret_is_asked_for_does_a_test_log_in_by_another_name(self):
        other = PASSES["chap"].alone("iSCSICHAP.HexName")
        self.assertNotEqual(other.chap, CHAP)
        self.assertTrue(other.chap[0].startswith("0x"))
        self.assertIsNone(PASSES["chap"].alone("Read10.Simple"))
        self.assertIsNone(PASSES["writable"].alone("iSCSICHAP.HexName"))

    def test_what_minds_the_test_before_it_has_a_target_of_its_own(self):
        self.assertIs(PASSES["paths"].alone("Sanitize.Reset"), PASSES["paths"])
        self.assertIsNone(PASSES["paths"].alone("Sanitize.Reservations"))


if __name__ == "__main__":
    unittest.main()
