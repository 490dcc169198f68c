"""The run: prepare the image, have the lanes run the scenarios, sum up.

The first half runs as the caller. It starts itself again for each lane, inside
namespaces of the lane's own.
"""

import argparse
import fcntl
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from . import scenarios
from .errors import SetupError
from .image import Cache, Image
from .lane import HERE, TGT_TREE, Lane
from .lanes import Lanes
from .packages import require_tools
from .scenarios import Scenario
from .transcript import Transcript

ROOT = HERE.parent.parent
# If this process dies, the kernel ends unshare, and with it every process, tap and mount of the lane.
IN_NAMESPACES = [
    "setpriv", "--pdeathsig", "KILL", "--",
    "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--",
]


def main() -> int:
    """Returns the exit status: 0 all passed, 1 something failed, 2 the run couldn't start."""
    options = _options()
    try:
        folder = "selftest" if options.self_test else "benches" if options.bench else "scenarios"
        chosen = scenarios.select(scenarios.load(HERE / folder), options.scenario)
        if options.list:
            print("\n".join(scenario.name for scenario in chosen))
            return 0
        if options.inner is None:
            return _outer(options, chosen)
        return Lane(options, chosen).all()
    except SetupError as error:
        print(f"guest: {error}", file=sys.stderr)
        return 2


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/guest/run", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("scenario", nargs="*", help="names of scenarios (default: all)")
    parser.add_argument("--list", action="store_true", help="print the names and leave")
    parser.add_argument("--target", choices=("tidelock", "tgt"), default="tidelock")
    parser.add_argument("--binaries", type=Path, default=ROOT / "build/release", help="folder with tidelockd, tidelock")
    parser.add_argument("--cache", type=Path, default=ROOT / "build/guest-cache")
    parser.add_argument("--logs", type=Path, default=ROOT / "build/guest-run")
    parser.add_argument(
        "--lanes", type=int, help="how many guests run scenarios beside each other (default: 2; for --self-test 1)"
    )
    parser.add_argument("--time-limit", type=int, default=870, help="seconds for the whole run, without the image")
    parser.add_argument("--self-test", action="store_true", help="test the harness: do failures count as failures?")
    parser.add_argument("--bench", action="store_true", help="benches that need a guest, instead of scenarios")
    parser.add_argument("--prepare", action="store_true", help="only build the image")
    parser.add_argument("--inner", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.lanes is None:
        # Some of these look at what the one before has left.
        options.lanes = 1 if options.self_test else 2
    if not 1 <= options.lanes <= 8:
        parser.error("--lanes must be 1 to 8: each takes about 1 GB of memory")
    return options


def _outer(options: argparse.Namespace, chosen: list[Scenario]) -> int:
    require_tools()
    if options.target == "tidelock" and not options.prepare:
        for name in ("tidelockd", "tidelock"):
            if not (options.binaries / name).exists():
                raise SetupError(f"{options.binaries / name} isn't there: build it with `cargo build --release`")
    if options.target == "tgt" and not (TGT_TREE / "usr/sbin/tgtd").exists():
        raise SetupError("tgt isn't there: run tests/packages")
    cache = Cache(options.cache)
    image = cache.image()
    cache.close()
    if options.prepare:
        return 0
    options.logs.mkdir(parents=True, exist_ok=True)
    with (options.logs / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as busy:
            raise SetupError(f"another run writes to {options.logs}: wait for it or pass --logs") from busy
        for old in options.logs.iterdir():
            if old.is_dir():
                shutil.rmtree(old)
        with tempfile.TemporaryDirectory(prefix="tidelock-guest-") as memory:
            return _all(options, chosen, image, Path(memory))


def _all(options: argparse.Namespace, chosen: list[Scenario], image: Image, memory: Path) -> int:
    """Runs the scenarios and prints what came of them."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    commands = []
    for number in range(1, min(options.lanes, len(chosen)) + 1):
        mount_point = memory / str(number)
        mount_point.mkdir()
        commands.append([*IN_NAMESPACES, sys.executable, *sys.argv, "--inner", f"{image.folder}:{mount_point}"])
    with Transcript(options.logs, len(commands)) as transcript:
        lanes = Lanes(chosen, commands, options.logs, transcript)
        verdicts = lanes.run(options.time_limit)
        failed = sum(not _acceptable(verdict, options.target) for verdict in verdicts)
        transcript.sum_up([
            *verdicts,
            f"{len(verdicts) - failed} of {len(verdicts)} as they should be, {failed} not; "
            f"{lanes.boots} boots; logs in {options.logs}",
        ])
    return 1 if failed else 0


def _acceptable(verdict: str, target: str) -> bool:
    # Tidelock is expected to have everything; only the other target may lack a feature.
    return verdict.startswith("PASS") or (verdict.startswith("SKIP") and target != "tidelock")
