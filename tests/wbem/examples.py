"""The examples of what GetSynchronizationSupported answers, each called by a client. Run by tests/wbem/run.

They were made for an engine that is thought up. Where this one differs the answer is its own, and the test says why.
"""

import os
import socket
import struct
import time

from pywbem import Uint16

from house import CREATE_ELEMENT_REPLICA, CREATE_GROUP_REPLICA, MIRROR, PATIENCE_SECONDS, Case, Daemon

NOTHING = ([], [], [])
TARGET = "iqn.2026-11.test.tidelock:t"


class Session:
    """An initiator's session, and no more: what makes a volume one that is in use."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        keys = f"InitiatorName=iqn.2026-11.test:client\0SessionType=Normal\0TargetName={TARGET}\0".encode()
        # Operational parameters, then the full feature phase at once.
        header = struct.pack(">BB2xI", 0x43, 0x87, len(keys)) + bytes(6) + struct.pack(">HI", 0, 1)
        header += struct.pack(">HHII", 0, 0, 1, 0) + bytes(16)
        self._socket.sendall(header + keys + bytes(-len(keys) % 4))
        answer = self._socket.recv(48)
        if answer[0] & 0x3F != 0x23 or answer[36:38] != b"\0\0":
            raise AssertionError(f"no login: {answer.hex()}")

    def close(self) -> None:
        self._socket.close()


class Examples(Case):
    def test_1_a_plain_volume_that_hosts_use(self) -> None:
        # Mirrors are synchronous here; else as in the example.
        session = Session(self.daemon.portal)
        try:
            self.assertEqual(self.supported(self.volume("vol")), (0, [6, 6, 7, 8], [2, 3, 2, 3], [2, 2, 2, 2]))
        finally:
            session.close()

    def test_2_the_same_without_sessions(self) -> None:
        expected = (0, [6, 6, 6, 6, 7, 8], [2, 2, 3, 3, 2, 3], [2, 3, 2, 3, 2, 2])
        # A clone's target is made by the service, so no volume could be one.
        self.assertEqual(self.supported(self.volume("other")), expected)

    def test_3_and_4_a_mirrors_target(self) -> None:
        for name in ("source", "target"):
            file = self.daemon.folder / name
            # Of random bytes, so that there is something to copy.
            file.write_bytes(os.urandom(256 << 20) if name == "source" else bytes(256 << 20))
            self.daemon.run("volume", "create", name, "--file", str(file))
        code, out = self.service(
            "CreateElementReplica", SyncType=MIRROR, SourceElement=self.volume("source"),
            TargetElement=self.volume("target"), WaitForCopyState=Uint16(3),
        )
        self.assertEqual(code, 0, self.why(out))
        path, target = out["Synchronization"], self.volume("target")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            # Asked before and after, so that the state is that of the moment of the question.
            before = self.conn.GetInstance(path)["CopyState"]
            answer = self.supported(target)
            if self.conn.GetInstance(path)["CopyState"] in (2, 3):
                self.assertEqual(answer, (6, *NOTHING))
            if before == 4:
                break
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        self.assertEqual(self.supported(target), (0, [7, 8], [2, 3], [2, 2]))
        self.daemon.run("mirror", "detach", "source")

    def test_5_a_snapshot(self) -> None:
        self.daemon.run("snapshot", "create", "vol", "example")
        try:
            self.assertEqual(self.supported(self.volume("vol@example")), (0, [8], [3], [2]))
        finally:
            self.daemon.run("snapshot", "delete", "vol@example", "--yes")

    def test_6_a_volume_that_was_brought_back(self) -> None:
        # A restore is done at one moment here, so that nobody sees a volume in the midst of it: there is nothing to wait
        # for afterwards, either.
        self.daemon.run("snapshot", "create", "other", "before")
        try:
            self.daemon.run("snapshot", "restore", "other@before", "--yes")
            self.assertEqual(self.supported(self.volume("other"))[:3], (0, [6, 6, 6, 6, 7, 8], [2, 2, 3, 3, 2, 3]))
        finally:
            self.daemon.run("snapshot", "delete", "other@before", "--yes")

    def test_7_a_faulted_volume(self) -> None:
        daemon = Daemon()
        try:
            file = daemon.folder / "file"
            file.write_bytes(bytes(1 << 20))
            daemon.run("volume", "create", "lost", "--file", str(file))
            path = daemon.connect().EnumerateInstanceNames("CIM_StorageVolume")[0]
            file.unlink()
            daemon.restart()
            conn = daemon.connect()
            capabilities = conn.EnumerateInstanceNames("CIM_ReplicationServiceCapabilities")[0]
            code, out = conn.InvokeMethod(
                "GetSynchronizationSupported", capabilities,
                [("LocalElement", path), ("MethodName", CREATE_ELEMENT_REPLICA)],
            )
            self.assertEqual((code, out["SyncTypes"], out["Modes"], out["LocalElementRole"]), (4, *NOTHING))
            self.assertEqual(conn.GetInstance(path)["OperationalStatus"], [12])
        finally:
            daemon.close()

    def test_8_a_volume_that_is_elsewhere(self) -> None:
        # Whoever answers for it decides (peers.py): what nobody here has heard of isn't known.
        elsewhere = self.volume("vol").copy()
        elsewhere["SystemName"] = "another one"
        elsewhere["DeviceID"] = "00000000-0000-0000-0000-000000000001"
        self.assertEqual(self.supported(self.volume("other"), OtherElement=elsewhere), (5, *NOTHING))

    def test_9_methods_that_arent_there(self) -> None:
        # There are groups here, and aspects of volumes; a volume alone has no copies as a group, and a snapshot no aspects.
        self.assertEqual(self.supported(self.volume("vol"), CREATE_GROUP_REPLICA), (1, *NOTHING))
        self.daemon.run("snapshot", "create", "vol", "ninth")
        try:
            self.assertEqual(self.supported(self.volume("vol@ninth"), Uint16(4)), (1, *NOTHING))
        finally:
            self.daemon.run("snapshot", "delete", "vol@ninth", "--yes")

    def test_10_a_reserved_number(self) -> None:
        for number in (0, 1, 5, 7, 8, 0x7FFF, 0x8000, 0xFFFF):
            self.assertEqual(self.supported(self.volume("vol"), Uint16(number)), (5, *NOTHING), number)
