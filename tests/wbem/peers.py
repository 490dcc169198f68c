"""Other daemons, as a client sees them: which there are, where, and whether they answer. Run by tests/wbem/run."""

import time
import unittest
import warnings

import pywbem
from pywbem import CIMError, Uint16

from house import PATIENCE_SECONDS, Daemon

REACHABLE = Uint16(2)


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
