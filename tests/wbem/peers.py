"""Other daemons, as a client sees them: which there are, where, and whether they answer. Run by tests/wbem/run."""

import time
import unittest
import warnings

import pywbem
from pywbem import CIMError, Uint16

from house import CREATE_ELEMENT_REPLICA, DETACH, JOB_STARTED, MIRROR, PATIENCE_SECONDS, Daemon

REACHABLE = Uint16(2)
FRACTURE, RESYNC, FAILOVER, FAILBACK = Uint16(12), Uint16(14), Uint16(10), Uint16(11)
REMOTE = Uint16(3)


class Peers(unittest.TestCase):
    def setUp(self) -> None:
        warnings.simplefilter("ignore", ResourceWarning)
        self.one = Daemon('peer_portal = "127.0.0.1:0"\n')
        self.addCleanup(self.one.close)
        self.other = Daemon('peer_portal = "127.0.0.1:0"\n')
        self.other_runs = True
        self.addCleanup(lambda: self.other_runs and self.other.close())
        for this, that, name in [(self.one, self.other, "that"), (self.other, self.one, "this")]:
            you = that.json("peer", "list")["identity"]
            this.run("peer", "add", name, you["portal"], "--fingerprint", you["fingerprint"])
        self.conn = self.one.connect()
        self.service, = self.conn.EnumerateInstanceNames("CIM_ReplicationService")

    def systems(self, **more):
        code, out = self.conn.InvokeMethod("GetPeerSystems", self.service, **more)
        self.assertEqual(code, 0)
        return out["Systems"]

    def until(self, count: int) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.systems(Options=REACHABLE)) != count:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)

    def test_a_peer_is_there_with_its_address_until_it_goes(self) -> None:
        self.until(1)
        path, = self.systems()
        peer = self.conn.GetInstance(path)
        self.assertEqual((peer["ElementName"], peer["OperationalStatus"]), ("that", [2]))
        code, out = self.conn.InvokeMethod("GetServiceAccessPoints", self.service, System=path)
        self.assertEqual(code, 0)
        point, = out["ServiceAccessPoints"]
        portal = self.other.json("peer", "list")["identity"]["portal"]
        self.assertEqual(self.conn.GetInstance(point)["AccessInfo"], portal)
        hosted = self.conn.AssociatorNames(path, AssocClass="CIM_HostedAccessPoint")
        self.assertEqual([it["Name"] for it in hosted], [point["Name"]])
        self.other.close()
        self.other_runs = False
        self.until(0)
        # It is known all the same.
        self.assertEqual(self.systems(), [path])
        self.assertEqual(self.conn.GetInstance(path)["OperationalStatus"], [12])
        self.one.run("peer", "remove", "that", "--yes")
        self.assertEqual(self.systems(), [])
        with self.assertRaises(CIMError) as caught:
            self.conn.GetInstance(path)
        self.assertEqual(caught.exception.status_code, pywbem.CIM_ERR_NOT_FOUND)


class Mirrors(unittest.TestCase):
    """A mirror with a peer from Create to Detach, by CIM alone at the daemon that has its source."""

    def setUp(self) -> None:
        warnings.simplefilter("ignore", ResourceWarning)
        self.here = Daemon('peer_name = "here"\npeer_portal = "127.0.0.1:0"\n', portal="1=127.0.0.1:0")
        self.addCleanup(self.here.close)
        self.there = Daemon('peer_name = "there"\npeer_portal = "127.0.0.1:0"\n', portal="2=127.0.0.1:0")
        self.there_runs = True
        self.addCleanup(lambda: self.there_runs and self.there.close())
        for this, that, name in [(self.here, self.there, "there"), (self.there, self.here, "here")]:
            you = that.json("peer", "show")
            this.run("peer", "add", name, you["portal"], "--fingerprint", you["fingerprint"])
        self.here.run("volume", "create", "vol", "--size", "8M")
        self.conn = self.here.connect()
        self.service, = self.conn.EnumerateInstanceNames("CIM_ReplicationService")
        self.capabilities, = self.conn.EnumerateInstanceNames("CIM_ReplicationServiceCapabilities")
        self.volume, = self.conn.EnumerateInstanceNames("CIM_StorageVolume")
        self.point, = self.conn.EnumerateInstanceNames("Tidelock_PeerAccessPoint")

    def ask(self, element, **more):
        parameters = {"LocalElement": element, "MethodName": CREATE_ELEMENT_REPLICA, **more}
        code, out = self.conn.InvokeMethod("GetSynchronizationSupported", self.capabilities, list(parameters.items()))
        return code, *([int(it) for it in out[name]] for name in ("SyncTypes", "Modes", "LocalElementRole"))

    def at_the_peer(self):
        return self.ask(self.volume, OtherElementAccessPoint=self.point)

    def operations(self, tie) -> list[int]:
        code, out = self.conn.InvokeMethod(
            "GetSupportedOperationsForSynchronization", self.capabilities, Synchronization=tie
        )
        self.assertEqual(code, 0)
        return [int(it) for it in out["SupportedOperations"]]

    def until(self, done) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)

    def why(self, out) -> str:
        return self.conn.GetInstance(out["Job"])["ErrorDescription"] if "Job" in out else ""

    def modify(self, operation, tie, state=None, **more) -> None:
        code, out = self.conn.InvokeMethod(
            "ModifyReplicaSynchronization", self.service, Operation=operation, Synchronization=tie, **more
        )
        self.assertIn(code, (0, JOB_STARTED), self.why(out) if code not in (0, JOB_STARTED) else "")
        if state is not None:
            self.until(lambda: self.conn.GetInstance(tie)["CopyState"] == state)

    def test_from_create_to_detach(self) -> None:
        self.until(lambda: self.at_the_peer()[0] == 0)
        self.assertEqual(self.at_the_peer(), (0, [6, 6], [2, 3], [2, 2]))
        code, out = self.conn.InvokeMethod(
            "CreateElementReplica", self.service, ElementName="copy", SyncType=MIRROR, SourceElement=self.volume,
            TargetAccessPoint=self.point, WaitForCopyState=Uint16(4),
        )
        self.assertIn(code, (0, JOB_STARTED))
        tie, copy = out["Synchronization"], out["TargetElement"]
        self.until(lambda: self.conn.GetInstance(tie)["CopyState"] == 4)
        found = self.conn.GetInstance(copy)
        self.assertEqual((found["ElementName"], found["Usage"]), ("there:copy", 9))
        self.assertEqual(self.conn.GetInstance(self.volume)["Usage"], 7)
        system, = self.conn.AssociatorNames(copy, AssocClass="CIM_SystemDevice")
        self.assertEqual(system.classname, "Tidelock_PeerSystem")
        code, told = self.conn.InvokeMethod(
            "GetReplicationRelationships", self.service, SyncType=MIRROR, Locality=REMOTE
        )
        self.assertEqual((code, told["Synchronizations"]), (0, [tie]))
        # The one that there is stands against another one, and what is there isn't taken for a target.
        self.assertEqual(self.at_the_peer(), (6, [], [], []))
        self.assertEqual(self.ask(self.volume, OtherElement=copy), (1, [], [], []))
        self.assertEqual(self.ask(copy)[0], 5)
        self.assertIn(int(FRACTURE), self.operations(tie))
        self.assertNotIn(int(RESYNC), self.operations(tie))
        code, out = self.conn.InvokeMethod(
            "ModifyReplicaSynchronization", self.service, Operation=RESYNC, Synchronization=tie
        )
        self.assertEqual(code, 6)
        self.modify(FRACTURE, tie, 6)
        self.assertIn(int(RESYNC), self.operations(tie))
        self.modify(RESYNC, tie, 4)
        self.modify(FAILOVER, tie, 10)
        self.until(lambda: int(FAILBACK) in self.operations(tie))
        self.modify(FAILBACK, tie, 4)
        self.until(lambda: int(DETACH) in self.operations(tie))
        self.modify(DETACH, tie)
        self.assertEqual(self.conn.EnumerateInstanceNames("CIM_StorageSynchronized"), [])
        self.assertEqual(self.there.json("mirror", "list")["mirrors"], [])
        with self.assertRaises(CIMError):
            self.conn.GetInstance(copy)

    def test_a_peer_that_is_gone_is_told_as_a_timeout(self) -> None:
        self.until(lambda: self.at_the_peer()[0] == 0)
        local = self.ask(self.volume)
        self.there.close()
        self.there_runs = False
        self.until(lambda: self.at_the_peer() == (3, [], [], []))
        self.assertEqual(self.ask(self.volume), local)
        code, out = self.conn.InvokeMethod(
            "CreateElementReplica", self.service, ElementName="copy", SyncType=MIRROR, SourceElement=self.volume,
            TargetAccessPoint=self.point,
        )
        self.assertEqual(code, 3)
        self.assertIn("there", self.why(out))
        self.assertEqual(self.conn.EnumerateInstanceNames("CIM_StorageSynchronized"), [])
