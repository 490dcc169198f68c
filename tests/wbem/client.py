"""What a WBEM client sees and does. Run by tests/wbem/run."""

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
from pywbem import CIMError, CIMInstanceName, Uint16, WBEMConnection, WBEMServer

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("TIDELOCK_BIN_DIR", ROOT / "build/release"))
NAMESPACE = "root/cimv2/storage/iscsitarget"
USER, PASSWORD = "admin", "a word of the tests"
PATIENCE_SECONDS = 60

SNAPSHOT, CLONE = Uint16(7), Uint16(8)
CREATE_ELEMENT_REPLICA, CREATE_GROUP_REPLICA = Uint16(2), Uint16(3)
DETACH, RESTORE, RETURN_TO_POOL = Uint16(8), Uint16(15), Uint16(19)
JOB_STARTED = 4096


class Daemon:
    """A tidelockd with a WBEM server, in a folder of its own."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tidelock-wbem-")
        self.folder = Path(self._folder.name)
        self.state = self.folder / "state"
        self._socket = self.folder / "admin.sock"
        done = subprocess.run(
            [BUILD / "tidelockd", "--hash-password"], input=PASSWORD + "\n", capture_output=True, text=True, check=True
        )
        self._config = self.folder / "tidelockd.toml"
        self._config.write_text(
            "space_warning_percent = 0\n"
            f'[wbem]\nlisten = "127.0.0.1:0"\n[wbem.users]\n{USER} = "{done.stdout.strip()}"\n'
        )
        self._start()

    def _start(self) -> None:
        log = self.folder / "log"
        with log.open("w") as out:
            self._process = subprocess.Popen(
                [
                    BUILD / "tidelockd", "--config", self._config, "--state-dir", self.state,
                    "--admin-socket", self._socket, "--portal", "127.0.0.1:0",
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


class Client(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        warnings.simplefilter("ignore", ResourceWarning)
        cls.daemon = Daemon()
        cls.daemon.run("volume", "create", "vol", "--size", "64M")
        cls.daemon.run("volume", "create", "other", "--size", "32M")
        cls.daemon.run("target", "create", "iqn.2026-11.test.tidelock:t")
        cls.daemon.run("lun", "map", "iqn.2026-11.test.tidelock:t", "vol")
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
        return code, out["SyncTypes"], out["Modes"], out["LocalElementRole"]

    def follow(self, job: CIMInstanceName) -> pywbem.CIMInstance:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = self.conn.GetInstance(job)
            if found["JobState"] not in (2, 3, 4, 5, 6):
                return found
            self.assertLess(time.monotonic(), deadline, f"the job goes on: {found['PercentComplete']}")
            time.sleep(0.02)

    # Finding it.

    def test_discovery_by_the_registered_profile(self) -> None:
        server = WBEMServer(self.conn)
        self.assertEqual(server.interop_ns, "interop")
        self.assertEqual(sorted(server.namespaces), ["interop", NAMESPACE])
        profiles = server.get_selected_profiles("SNIA", "Replication Services")
        self.assertEqual(len(profiles), 1)
        central = server.get_central_instances(profiles[0].path)
        self.assertEqual([it.classname for it in central], ["MSISCSITARGET_ReplicationService"])
        service = central[0]
        self.assertEqual(service.namespace, NAMESPACE)
        found = self.conn.AssociatorNames(service, AssocClass="CIM_ElementCapabilities")
        self.assertEqual([it.classname for it in found], ["MSISCSITARGET_ReplicationServiceCapabilities"])
        systems = self.conn.Associators(service, AssocClass="CIM_HostedService")
        self.assertEqual([it["ElementName"] for it in systems], ["Tidelock"])

    def test_classes_and_their_value_maps(self) -> None:
        found = self.conn.GetClass("MSISCSITARGET_StorageSynchronized", LocalOnly=False)
        self.assertTrue(found.properties["SystemElement"].qualifiers["Key"].value)
        states = pywbem.ValueMapping.for_property(
            self.conn, NAMESPACE, "MSISCSITARGET_StorageSynchronized", "CopyState"
        )
        self.assertEqual(states.tovalues(4), "Synchronized")
        names = self.conn.EnumerateClassNames(DeepInheritance=True)
        self.assertIn("MSISCSITARGET_StorageVolume", names)
        method = self.conn.GetClass(
            "MSISCSITARGET_ReplicationServiceCapabilities", LocalOnly=False
        ).methods["GetSynchronizationSupported"]
        self.assertEqual(method.return_type, "uint32")
        self.assertIn("OtherElementAccessPoint", method.parameters)

    def test_volumes_one_by_one_in_parts_and_by_association(self) -> None:
        self.assertLessEqual({"vol", "other"}, self.names())
        path = self.volume("vol")
        volume = self.conn.GetInstance(path)
        self.assertEqual(volume["BlockSize"] * volume["NumberOfBlocks"], 64 << 20)
        self.assertEqual(volume["OperationalStatus"], [2])
        self.assertEqual(list(self.conn.GetInstance(path, PropertyList=["Usage"])), ["Usage"])
        pulled = list(self.conn.IterEnumerateInstances("CIM_StorageVolume", MaxObjectCount=1))
        self.assertLessEqual({"vol", "other"}, {it["ElementName"] for it in pulled})
        system = self.only("CIM_ComputerSystem")
        devices = self.conn.IterAssociatorInstances(system, AssocClass="CIM_SystemDevice", MaxObjectCount=1)
        self.assertIn("vol", {it["ElementName"] for it in devices})
        opened = self.conn.OpenEnumerateInstancePaths("CIM_StorageVolume", MaxObjectCount=1)
        self.assertFalse(opened.eos)
        self.conn.CloseEnumeration(opened.context)

    # What is supported. The numbers are those of the examples, without the mirrors.

    def test_a_volume_and_a_snapshot_say_what_can_be_made_of_them(self) -> None:
        volume = self.volume("vol")
        self.assertEqual(self.supported(volume), (0, [7, 8], [2, 3], [2, 2]))
        self.daemon.run("snapshot", "create", "vol", "asked")
        self.assertEqual(self.supported(self.volume("vol@asked")), (0, [8], [3], [2]))
        self.daemon.run("snapshot", "delete", "vol@asked", "--yes")
        self.assertEqual(self.supported(volume, Uint16(7)), (5, [], [], []))
        self.assertEqual(self.supported(volume, Uint16(4)), (1, [], [], []))
        self.assertEqual(self.supported(volume, OtherElement=volume), (5, [], [], []))
        self.assertEqual(self.supported(volume, OtherElement=self.volume("other")), (1, [], [], []))
        gone = volume.copy()
        gone["DeviceID"] = "00000000-0000-0000-0000-000000000001"
        self.assertEqual(self.supported(gone), (5, [], [], []))

    def test_a_volume_whose_file_is_gone_has_failed(self) -> None:
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
            self.assertEqual((code, out["SyncTypes"]), (4, []))
            self.assertEqual(conn.GetInstance(path)["OperationalStatus"], [12])
        finally:
            daemon.close()

    def test_the_class_says_what_is_built(self) -> None:
        found = self.conn.GetInstance(self.only("CIM_ReplicationServiceCapabilities"))
        self.assertEqual(found["SupportedReplicationTypes"], [6, 11])
        self.assertEqual(found["SupportedStorageObjects"], [2])
        code, out = self.capabilities("GetSupportedOperations", ReplicationType=Uint16(6))
        self.assertEqual((code, out["SupportedOperations"]), (0, [15, 19]))
        code, out = self.capabilities("GetSupportedOperations", ReplicationType=Uint16(11))
        self.assertEqual((code, out["SupportedOperations"]), (0, [8]))
        code, out = self.capabilities("GetSupportedOperations", ReplicationType=Uint16(4))
        self.assertEqual((code, out["SupportedOperations"]), (1, []))
        code, out = self.capabilities(
            "ConvertSyncTypeToReplicationType", SyncType=CLONE, Mode=Uint16(3), LocalOrRemote=Uint16(2)
        )
        self.assertEqual((code, out["SupportedReplicationTypes"]), (0, 11))
        code, out = self.capabilities("GetDefaultReplicationSettingData", ReplicationType=Uint16(6))
        self.assertEqual(code, 0)
        self.assertEqual(out["DefaultInstance"]["TargetElementSupplier"], 4)

    # Making and unmaking, by CIM alone.

    def test_a_snapshot_from_create_to_delete(self) -> None:
        volume = self.volume("vol")
        code, out = self.service(
            "CreateElementReplica", ElementName="s", SyncType=SNAPSHOT, SourceElement=volume,
            WaitForCopyState=Uint16(4),
        )
        self.assertEqual(code, 0)
        self.assertIn("vol@s", self.names())
        snapshot = self.conn.GetInstance(out["TargetElement"])
        self.assertEqual((snapshot["ElementName"], snapshot["Usage"]), ("vol@s", 12))
        association = self.conn.GetInstance(out["Synchronization"])
        self.assertEqual((association["SyncType"], association["CopyState"]), (7, 4))
        self.assertEqual(association["SystemElement"], volume)
        copies = self.conn.AssociatorNames(volume, AssocClass="CIM_StorageSynchronized", Role="SystemElement")
        self.assertIn(out["TargetElement"]["DeviceID"], [it["DeviceID"] for it in copies])
        code, found = self.capabilities(
            "GetSupportedOperationsForSynchronization", Synchronization=out["Synchronization"]
        )
        self.assertEqual((code, found["SupportedOperations"]), (0, [15, 19]))
        again, _ = self.service(
            "CreateElementReplica", ElementName="s", SyncType=SNAPSHOT, SourceElement=volume
        )
        self.assertEqual(again, 6)
        code, _ = self.service(
            "ModifyReplicaSynchronization", Operation=RESTORE, Synchronization=out["Synchronization"]
        )
        self.assertEqual(code, 0)
        code, _ = self.service(
            "ModifyReplicaSynchronization", Operation=DETACH, Synchronization=out["Synchronization"]
        )
        self.assertEqual(code, 1)
        code, _ = self.service(
            "ModifyReplicaSynchronization", Operation=RETURN_TO_POOL, Synchronization=out["Synchronization"]
        )
        self.assertEqual(code, 0)
        self.assertNotIn("vol@s", self.names())
        with self.assertRaises(CIMError) as caught:
            self.conn.GetInstance(out["Synchronization"])
        self.assertEqual(caught.exception.status_code, pywbem.CIM_ERR_NOT_FOUND)

    def test_a_clone_from_create_to_detach_with_its_job(self) -> None:
        code, out = self.service(
            "CreateElementReplica", ElementName="clone", SyncType=CLONE, SourceElement=self.volume("vol"),
            WaitForCopyState=Uint16(4),
        )
        # A small one may be complete already.
        self.assertIn(code, (0, JOB_STARTED))
        if code == JOB_STARTED:
            job = self.follow(out["Job"])
            self.assertEqual((job["JobState"], job["PercentComplete"]), (7, 100), job["ErrorDescription"])
            owners = self.conn.AssociatorNames(out["Job"], AssocClass="CIM_OwningJobElement")
            self.assertEqual([it.classname for it in owners], ["MSISCSITARGET_ReplicationService"])
        association = self.conn.GetInstance(out["Synchronization"])
        self.assertEqual((association["SyncType"], association["CopyState"]), (8, 4))
        self.assertEqual(association["PercentSynced"], 100)
        code, found = self.capabilities(
            "GetSupportedOperationsForSynchronization", Synchronization=out["Synchronization"]
        )
        self.assertEqual((code, found["SupportedOperations"]), (0, [8]))
        code, _ = self.service(
            "ModifyReplicaSynchronization", Operation=DETACH, Synchronization=out["Synchronization"]
        )
        self.assertEqual(code, 0)
        self.assertIn("clone", self.names())
        self.assertEqual(self.daemon.json("clone", "list")["clones"], [])
        code, found = self.service("GetReplicationRelationships", SyncType=CLONE)
        self.assertEqual((code, found["Synchronizations"]), (0, []))
        self.assertEqual(self.supported(self.volume("clone")), (0, [7, 8], [2, 3], [2, 2]))

    def test_a_group_from_create_to_delete(self) -> None:
        code, out = self.service(
            "CreateGroup", GroupName="g", Members=[self.volume("vol"), self.volume("other")]
        )
        self.assertEqual(code, 0)
        group = out["ReplicationGroup"]
        members = self.conn.Associators(group, AssocClass="CIM_OrderedMemberOfCollection")
        self.assertEqual({it["ElementName"] for it in members}, {"vol", "other"})
        self.assertEqual(self.supported(group, CREATE_GROUP_REPLICA), (0, [7, 8], [2, 3], [2, 2]))
        self.assertEqual(self.supported(group)[0], 1)
        code, out = self.service(
            "CreateGroupReplica", RelationshipName="day", SyncType=SNAPSHOT, SourceGroup=group
        )
        self.assertEqual(code, 0)
        taken = self.conn.Associators(out["TargetGroup"], AssocClass="CIM_OrderedMemberOfCollection")
        self.assertEqual({it["ElementName"] for it in taken}, {"vol@day", "other@day"})
        self.assertEqual(self.conn.GetInstance(out["Synchronization"])["CopyState"], 4)
        code, _ = self.service(
            "ModifyReplicaSynchronization", Operation=RESTORE, Synchronization=out["Synchronization"]
        )
        self.assertEqual(code, 0)
        code, _ = self.service("RemoveMembers", ReplicationGroup=group, Members=[self.volume("other")])
        self.assertEqual(code, 0)
        code, _ = self.service("RemoveMembers", ReplicationGroup=group, Members=[self.volume("other")])
        self.assertEqual(code, 8)
        code, _ = self.service("DeleteGroup", ReplicationGroup=group)
        self.assertEqual(code, 0)
        with self.assertRaises(CIMError):
            self.conn.GetInstance(group)

    # What goes wrong.

    def test_errors_have_the_codes_that_the_standards_name(self) -> None:
        for code, ask in [
            (pywbem.CIM_ERR_INVALID_CLASS, lambda: self.conn.EnumerateInstances("CIM_Printer")),
            (pywbem.CIM_ERR_NOT_FOUND, lambda: self.conn.GetClass("CIM_Printer")),
            (pywbem.CIM_ERR_INVALID_NAMESPACE, lambda: self.conn.EnumerateClassNames("root/other")),
            (pywbem.CIM_ERR_NOT_SUPPORTED, lambda: self.conn.ExecQuery("WQL", "SELECT * FROM CIM_Job")),
            (pywbem.CIM_ERR_METHOD_NOT_FOUND, lambda: self.service("CreateWeather")),
            (pywbem.CIM_ERR_METHOD_NOT_FOUND, lambda: self.service("CreateSynchronizationAspect")),
            (pywbem.CIM_ERR_INVALID_PARAMETER, lambda: self.service("GetPeerSystems", Colour="red")),
            (pywbem.CIM_ERR_INVALID_PARAMETER, lambda: self.capabilities("GetSupportedFeatures", ReplicationType="x")),
        ]:
            with self.subTest(code=code), self.assertRaises(CIMError) as caught:
                ask()
            self.assertEqual(caught.exception.status_code, code)
            self.assertTrue(caught.exception.status_description)
        self.assertEqual(self.service("CreateElementReplica", SyncType=SNAPSHOT)[0], 5)
        self.assertEqual(self.service("GetPeerSystems"), (0, {"Systems": []}))

    def test_nobody_comes_in_with_a_wrong_password_or_past_tls(self) -> None:
        with self.assertRaises(pywbem.AuthError):
            self.daemon.connect("wrong").EnumerateClassNames()
        plain = WBEMConnection(f"http://127.0.0.1:{self.daemon.port}", (USER, PASSWORD), NAMESPACE, timeout=10)
        with self.assertRaises(pywbem.ConnectionError):
            plain.EnumerateClassNames()


if __name__ == "__main__":
    for program in ("tidelockd", "tidelock"):
        if not (BUILD / program).exists():
            sys.exit(f"wbem: {BUILD / program} isn't there: run `cargo build --release`")
    # Whatever this machine trusts on other ways would go before what the tests say.
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        os.environ.pop(name, None)
    unittest.main()
