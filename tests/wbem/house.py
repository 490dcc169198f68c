"""A daemon with a WBEM server, and a client that isn't ours: what the tests of this folder begin with."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
import warnings
from pathlib import Path

import pywbem
from pywbem import CIMInstanceName, Uint16, WBEMConnection

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("TIDELOCK_BIN_DIR", ROOT / "build/release"))
NAMESPACE = "root/cimv2/storage/iscsitarget"
USER, PASSWORD = "admin", "a word of the tests"
PATIENCE_SECONDS = 60

MIRROR, SNAPSHOT, CLONE = Uint16(6), Uint16(7), Uint16(8)
CREATE_ELEMENT_REPLICA, CREATE_GROUP_REPLICA = Uint16(2), Uint16(3)
DETACH, RESTORE, RETURN_TO_POOL = Uint16(8), Uint16(15), Uint16(19)
JOB_STARTED = 4096


class Daemon:
    """A tidelockd with a WBEM server, in a folder of its own."""

    def __init__(self, more: str = "", wbem: str = "", portal: str = "127.0.0.1:0") -> None:
        """`more` of its configuration, and of the section `wbem`."""
        self._portal = portal
        self._folder = tempfile.TemporaryDirectory(prefix="tidelock-wbem-")
        self.folder = Path(self._folder.name)
        self.state = self.folder / "state"
        self._socket = self.folder / "admin.sock"
        done = subprocess.run(
            [BUILD / "tidelockd", "--hash-password"], input=PASSWORD + "\n", capture_output=True, text=True, check=True
        )
        self._config = self.folder / "tidelockd.toml"
        self._config.write_text(
            f"space_warning_percent = 0\n{more}"
            f'[wbem]\nlisten = "127.0.0.1:0"\n{wbem}[wbem.users]\n{USER} = "{done.stdout.strip()}"\n'
        )
        self._start()

    def _start(self) -> None:
        log = self.folder / "log"
        with log.open("w") as out:
            self._process = subprocess.Popen(
                [
                    BUILD / "tidelockd", "--config", self._config, "--state-dir", self.state,
                    "--admin-socket", self._socket, "--portal", self._portal,
                ],
                stderr=out, stdin=subprocess.DEVNULL,
            )
        deadline = time.monotonic() + PATIENCE_SECONDS
        # It listens, and answers, before it takes changes.
        while " serving " not in (text := log.read_text(errors="replace")):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"tidelockd doesn't serve:\n{text}")
            time.sleep(0.01)
        plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
        self.portal = int(re.search(r"listening address=127\.0\.0\.1:(\d+)", plain).group(1))
        self.port = int(re.search(r"listening for WBEM.*127\.0\.0\.1:(\d+)", plain).group(1))

    def _end(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_SECONDS)

    def restart(self) -> None:
        self._end()
        self._start()

    def close(self) -> None:
        self._end()
        self._folder.cleanup()

    def run(self, *words: str) -> str:
        command = [BUILD / "tidelock", "--socket", self._socket, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(words)}: {done.stderr}")
        return done.stdout

    def json(self, *words: str):
        return json.loads(self.run(*words, "--json"))

    def connect(self, password: str = PASSWORD) -> WBEMConnection:
        # The daemon has made its certificate itself, so it is the one to trust.
        return WBEMConnection(
            f"https://127.0.0.1:{self.port}", (USER, password), NAMESPACE,
            ca_certs=str(self.state / "wbem.pem"), use_pull_operations=True, timeout=PATIENCE_SECONDS,
        )


class Case(unittest.TestCase):
    """A daemon with two volumes, of which hosts could see one."""

    @classmethod
    def setUpClass(cls) -> None:
        warnings.simplefilter("ignore", ResourceWarning)
        cls.daemon = Daemon()
        cls.daemon.run("volume", "create", "vol", "--size", "64M")
        cls.daemon.run("volume", "create", "other", "--size", "32M")
        cls.daemon.run("target", "create", "iqn.2026-11.test.tidelock:t")
        cls.daemon.run("lun", "map", "iqn.2026-11.test.tidelock:t", "vol")
        cls.daemon.run("acl", "allow", "iqn.2026-11.test.tidelock:t", "iqn.2026-11.test:client")
        cls.conn = cls.daemon.connect()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.conn.close()
        cls.daemon.close()

    # What a client needs again and again.

    def volume(self, name: str) -> CIMInstanceName:
        found = [it.path for it in self.conn.EnumerateInstances("CIM_StorageVolume") if it["ElementName"] == name]
        self.assertEqual(len(found), 1, name)
        return found[0]

    def names(self) -> set[str]:
        return {it["ElementName"] for it in self.conn.EnumerateInstances("CIM_StorageVolume")}

    def only(self, cls: str) -> CIMInstanceName:
        found = self.conn.EnumerateInstanceNames(cls)
        self.assertEqual(len(found), 1, cls)
        return found[0]

    def service(self, method: str, **parameters):
        return self.conn.InvokeMethod(method, self.only("CIM_ReplicationService"), list(parameters.items()))

    def capabilities(self, method: str, **parameters):
        # One of them is called MethodName, as an argument of this is, too: so they come as a list.
        return self.conn.InvokeMethod(
            method, self.only("CIM_ReplicationServiceCapabilities"), list(parameters.items())
        )

    def supported(self, element, method=CREATE_ELEMENT_REPLICA, **more):
        code, out = self.capabilities(
            "GetSynchronizationSupported", LocalElement=element, MethodName=method, **more
        )
        return int(code), *([int(it) for it in out[name]] for name in ("SyncTypes", "Modes", "LocalElementRole"))

    def why(self, out) -> str:
        """Why something was refused."""
        job = out.get("Job")
        return "" if job is None else self.conn.GetInstance(job)["ErrorDescription"]

    def follow(self, job: CIMInstanceName) -> pywbem.CIMInstance:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = self.conn.GetInstance(job)
            if found["JobState"] not in (2, 3, 4, 5, 6):
                return found
            self.assertLess(time.monotonic(), deadline, f"the job goes on: {found['PercentComplete']}")
            time.sleep(0.02)


def prepare() -> None:
    """What has to be so before anything is tried."""
    for program in ("tidelockd", "tidelock"):
        if not (BUILD / program).exists():
            sys.exit(f"wbem: {BUILD / program} isn't there: run `cargo build --release`")
    # Whatever this machine trusts on other ways would go before what the tests say.
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        os.environ.pop(name, None)


prepare()
