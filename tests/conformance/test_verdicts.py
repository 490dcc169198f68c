"""The parser against what iscsi-test-cu was seen to print."""

import unittest

from verdicts import Verdict, listed_tests, read

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


if __name__ == "__main__":
    unittest.main()
