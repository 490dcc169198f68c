"""Tests of the run's outer half, with lanes that are small programs and boot nothing."""

import contextlib
import io
import sys
import tempfile
import time
import unittest
from pathlib import Path

from harness.lanes import Lanes
from harness.scenarios import Scenario
from harness.schedule import Schedule
from harness.talk import Lines, Say, Verdict, decode, encode
from harness.transcript import Transcript

# Asks for scenarios until there are no more; some names make it misbehave.
LANE = """
import os, socket, sys, time
from harness.talk import Booted, Outlet, Say, Verdict
logs, descriptor = sys.argv[-1].split(":")[-2:]
outlet = Outlet(socket.socket(fileno=int(descriptor)))
outlet.send(Booted())
if "stillborn" in sys.argv[-1]:
    os._exit(3)
kind = ""
while name := outlet.next_scenario(kind):
    kind = "uml"
    outlet.send(Say("guest", f"{name} says something"))
    if name.startswith("dies"):
        os._exit(3)
    while name.startswith("hangs"):
        time.sleep(1)
    time.sleep(0.05)
    outlet.send(Verdict(f"PASS {name}"))
outlet.send(Verdict("FAIL power-off: x")) if "stays-on" in sys.argv[-1] else None
"""


def scenario(name: str, limit: float = 10, guest: str = "uml") -> Scenario:
    return Scenario(name=name, file=name, limit=limit, guest=guest, expect=None)


class ScheduleTest(unittest.TestCase):
    def names(self, schedule: Schedule, kind: str = "uml", others: frozenset[str] = frozenset()) -> list[str]:
        taken = []
        while next_one := schedule.take(kind, others):
            taken.append(next_one.name)
        return taken

    def test_one_lane_keeps_the_order(self) -> None:
        self.assertEqual(self.names(Schedule([scenario("a", 1), scenario("b", 9)], 1)), ["a", "b"])

    def test_several_lanes_begin_with_the_longest(self) -> None:
        some = [scenario("a", 1), scenario("b", 9), scenario("c", 5), scenario("d", 9)]
        self.assertEqual(self.names(Schedule(some, 2)), ["b", "d", "c", "a"])

    def test_a_lane_stays_with_its_kind_of_guest(self) -> None:
        some = [scenario("a", 90), scenario("b", 1, "qemu"), scenario("c", 2, "qemu")]
        self.assertEqual(self.names(Schedule(some, 2), "qemu"), ["c", "b", "a"])

    def test_a_lane_without_a_guest_takes_a_kind_that_no_other_has(self) -> None:
        some = [scenario("a", 90), scenario("b", 1, "qemu")]
        taken = Schedule(some, 2).take("", {"uml"})
        self.assertEqual(taken and taken.name, "b")
        taken = Schedule(some, 2).take("", {"uml", "qemu"})
        self.assertEqual(taken and taken.name, "a")


class TalkTest(unittest.TestCase):
    def test_messages_come_back_as_they_were(self) -> None:
        for message in (Say("guest", 'a "word"\n\x00'), Verdict("FAIL a: b")):
            self.assertEqual(decode(encode(message).rstrip(b"\n")), message)

    def test_lines_are_whole_however_the_bytes_come(self) -> None:
        lines = Lines()
        self.assertEqual([lines.feed(data) for data in (b"a", b"b\nc", b"\n\n")], [[], [b"ab"], [b"c", b""]])


class LanesTest(unittest.TestCase):
    def run_lanes(self, names: list[str], lanes: list[str], limit: float = 30) -> list[str]:
        commands = [[sys.executable, "-B", "-c", LANE, word] for word in lanes]
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as screen:
            logs = Path(folder)
            with Transcript(logs, len(lanes)) as transcript:
                run = Lanes([scenario(name) for name in names], commands, logs, transcript)
                verdicts = run.run(limit)
            self.boots = run.boots
            self.of_lanes = [path.read_text() for path in sorted(logs.glob("lane-*/transcript.log"))]
        self.screen = screen.getvalue()
        return verdicts

    def test_each_scenario_is_run_once_and_the_list_is_in_their_order(self) -> None:
        names = [f"s{number}" for number in range(12)]
        self.assertEqual(self.run_lanes(names, ["", ""]), [f"PASS {name}" for name in names])
        self.assertEqual(self.boots, 2)
        self.assertEqual(len(self.of_lanes), 2)
        for name in names:
            self.assertEqual(self.screen.count(f"| {name} says something\n"), 1)

    def test_a_scenarios_lines_stand_together_on_the_screen(self) -> None:
        self.run_lanes(["a", "b"], ["", ""])
        for name in ("a", "b"):
            block = rf"\n=== {name}\n +[0-9.]+ [12] guest \| {name} says something\nPASS {name}\n"
            self.assertRegex(self.screen, block)

    def test_a_lane_that_dies_costs_one_scenario(self) -> None:
        self.assertEqual(
            self.run_lanes(["dies", "b", "c"], ["", ""]),
            ["FAIL dies: its lane ended without a verdict", "PASS b", "PASS c"],
        )

    def test_what_no_lane_is_left_for_has_failed(self) -> None:
        self.assertEqual(
            self.run_lanes(["dies", "dies-too", "c"], ["", ""])[2], "FAIL c: no lane was left to run it"
        )
        self.assertEqual(self.run_lanes(["a"], ["stillborn"]), ["FAIL a: no lane was left to run it"])

    def test_a_guest_that_cannot_be_switched_off_is_a_failure(self) -> None:
        self.assertEqual(self.run_lanes(["a"], ["stays-on"]), ["PASS a", "FAIL power-off: x"])

    def test_a_run_that_takes_too_long_is_ended_and_says_how_far_it_came(self) -> None:
        started = time.monotonic()
        verdicts = self.run_lanes(["a", "hangs", "hangs-too", "d"], ["", ""], limit=3)
        self.assertLess(time.monotonic() - started, 15)
        self.assertEqual(verdicts[0], "PASS a")
        self.assertEqual(verdicts[1], "FAIL hangs: not finished when the run was ended after 3 s")
        self.assertEqual(verdicts[3], "FAIL d: not begun when the run was ended")
        self.assertIn("| hangs says something", self.screen)


if __name__ == "__main__":
    unittest.main()
