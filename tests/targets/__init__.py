"""iSCSI targets that the conformance, interoperation and bench runners can start.

Every adapter makes one target with one LUN over a file, on loopback, open to
everybody, and looks the same from outside (see `process.Target`). It knows
nothing about what is run against it.
"""

from .istgt import Istgt
from .pair import TidelockAsyncPair, TidelockPair
from .process import Target, TargetError
from .tgt import Tgt
from .tidelock import Tidelock, TidelockAsyncMirror, TidelockMirror, TidelockSleeping, TidelockUnderMany, TidelockUnderOne

ADAPTERS: dict[str, type[Target]] = {
    adapter.name: adapter
    for adapter in (
        Tidelock, TidelockSleeping, TidelockUnderOne, TidelockUnderMany, TidelockMirror, TidelockAsyncMirror,
        TidelockPair, TidelockAsyncPair, Tgt, Istgt,
    )
}

__all__ = ["ADAPTERS", "Istgt", "Target", "TargetError", "Tgt", "Tidelock", "TidelockPair"]
