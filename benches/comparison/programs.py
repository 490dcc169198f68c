"""The small programs that are measured with, built when they are asked for."""

import os
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def missing() -> str | None:
    """Why they can't be built, with what to do about it."""
    try:
        subprocess.run(["rustc", "--version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "rustc is missing, which builds benches/programs"
    return None


def built(name: str) -> str:
    """The path of one, which is built if it isn't there or a source of it is newer."""
    program, folder = ROOT / f"build/compare-programs/{name}", ROOT / f"benches/programs/{name}"
    source = folder / "main.rs" if folder.is_dir() else folder.with_suffix(".rs")
    sources = folder.glob("*.rs") if folder.is_dir() else [source]
    if not program.exists() or program.stat().st_mtime < max(it.stat().st_mtime for it in sources):
        program.parent.mkdir(parents=True, exist_ok=True)
        new = program.with_suffix(f".{os.getpid()}.{time.monotonic_ns()}")
        subprocess.run(["rustc", "--edition", "2024", "-O", "-o", new, source], check=True)
        new.rename(program)
    return str(program)
