"""What a listener is told that has subscribed: lifecycle, alerts, and why calls were refused. Run by tests/wbem/run."""

import queue
import socket
import tempfile
from pathlib import Path

import pywbem
from pywbem import CIMError, Uint16, WBEMListener, WBEMServer, WBEMSubscriptionManager

from house import CREATE_ELEMENT_REPLICA, PATIENCE_SECONDS, RETURN_TO_POOL, SNAPSHOT, Case, Daemon

COPIES = "SELECT * FROM CIM_InstIndication WHERE SourceInstance ISA CIM_StorageSynchronized"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Indications(Case):
    def setUp(self) -> None:
        self.told: queue.Queue = queue.Queue()
        port = free_port()
        self.listener = WBEMListener("127.0.0.1", http_port=port)
        self.listener.add_callback(lambda indication, host: self.told.put(indication))
        self.listener.start()
        self.manager = WBEMSubscriptionManager("tests")
        self.server = self.manager.add_server(WBEMServer(self.conn))
        self.destination = self.manager.add_destination(
            self.server, f"http://127.0.0.1:{port}", owned=True, destination_id="d"
        )

    def tearDown(self) -> None:
        self.manager.remove_all_servers()
        self.listener.stop()
        for cls in ("CIM_IndicationSubscription", "CIM_IndicationFilter", "CIM_ListenerDestination"):
            self.assertEqual(self.conn.EnumerateInstanceNames(cls, namespace="interop"), [])

    def subscribe(self, query: str) -> None:
        found = self.manager.add_filter(
            self.server, source_namespaces=["root/cimv2/storage/iscsitarget"], query=query, query_language="WQL",
            owned=True, filter_id=f"f{abs(hash(query))}",
        )
        self.manager.add_subscriptions(self.server, found.path, self.destination.path, owned=True)
        # What is there is seen once before anything that changes can be told of.
        self.prove_that_it_is_looked()

    def prove_that_it_is_looked(self) -> None:
        """Waits until the daemon has looked since the subscription was made: a refused call is told of by that."""
        found = self.manager.add_filter(
            self.server, source_namespaces=["root/cimv2/storage/iscsitarget"],
            query="SELECT * FROM CIM_InstMethodCall", query_language="WQL", owned=True, filter_id="calls",
        )
        paths = self.manager.add_subscriptions(self.server, found.path, self.destination.path, owned=True)
        self.service("DeleteGroup")
        self.await_one("CIM_InstMethodCall", lambda it: it["MethodName"] == "DeleteGroup")
        self.manager.remove_subscriptions(self.server, [it.path for it in paths])
        self.manager.remove_filter(self.server, found.path)

    def await_one(self, cls: str, fits=lambda it: True):
        while True:
            found = self.told.get(timeout=PATIENCE_SECONDS)
            if found.classname == cls and fits(found):
                return found

    def test_copies_that_come_change_and_go(self) -> None:
        self.subscribe(COPIES)
        code, out = self.service(
            "CreateElementReplica", ElementName="told", SyncType=SNAPSHOT, SourceElement=self.volume("vol")
        )
        self.assertEqual(code, 0)
        made = self.await_one("CIM_InstCreation")["SourceInstance"]
        self.assertEqual(made.classname, "MSISCSITARGET_StorageSynchronized")
        self.assertEqual((made["SyncType"], made["CopyState"]), (7, 4))
        self.assertEqual(made["SyncedElement"]["DeviceID"], out["TargetElement"]["DeviceID"])
        self.service(
            "ModifyReplicaSynchronization", Operation=RETURN_TO_POOL, Synchronization=out["Synchronization"]
        )
        gone = self.await_one("CIM_InstDeletion")["SourceInstance"]
        self.assertEqual(gone["SyncedElement"], made["SyncedElement"])

    def test_a_mirror_is_followed_by_its_states(self) -> None:
        self.daemon.run("volume", "create", "m", "--size", "8M")
        self.daemon.run("volume", "create", "n", "--size", "8M")
        try:
            self.subscribe(COPIES)
            self.daemon.run("mirror", "create", "m", "n", "--wait")
            self.await_one("CIM_InstCreation")
            self.daemon.run("mirror", "suspend", "m")
            changed = self.await_one("CIM_InstModification", lambda it: it["SourceInstance"]["CopyState"] == 9)
            self.assertNotEqual(changed["PreviousInstance"]["CopyState"], 9)
            self.daemon.run("mirror", "detach", "m", "--force")
            self.await_one("CIM_InstDeletion")
        finally:
            self.daemon.run("volume", "delete", "m", "--yes")
            self.daemon.run("volume", "delete", "n", "--yes")

    def test_the_errors_of_calls_are_read(self) -> None:
        self.subscribe("SELECT * FROM CIM_InstMethodCall")
        code, _ = self.service(
            "CreateElementReplica", ElementName="no name", SyncType=SNAPSHOT, SourceElement=self.volume("vol")
        )
        self.assertEqual(code, 5)
        found = self.await_one("CIM_InstMethodCall", lambda it: it["MethodName"] == "CreateElementReplica")
        self.assertEqual(found["ReturnValue"], "5")
        self.assertIn("can't be in the name", found["Error"][0]["Message"])

    def test_subscriptions_outlive_a_restart(self) -> None:
        daemon = Daemon()
        try:
            conn = daemon.connect()
            url = f"http://127.0.0.1:{self.listener.http_port}"
            ends = [
                conn.CreateInstance(pywbem.CIMInstance(cls, {"Name": "kept", **more}), namespace="interop")
                for cls, more in [
                    ("CIM_IndicationFilter", {"Query": "SELECT * FROM CIM_InstMethodCall", "QueryLanguage": "DMTF:CQL"}),
                    ("CIM_ListenerDestinationCIMXML", {"Destination": url}),
                ]
            ]
            both = {"Filter": ends[0], "Handler": ends[1]}
            made = conn.CreateInstance(pywbem.CIMInstance("CIM_IndicationSubscription", both), namespace="interop")
            daemon.restart()
            conn = daemon.connect()
            self.assertEqual(conn.EnumerateInstanceNames("CIM_IndicationSubscription", namespace="interop"), [made])
            with self.assertRaises(CIMError) as caught:
                conn.DeleteInstance(ends[0])
            self.assertEqual(caught.exception.status_code, pywbem.CIM_ERR_FAILED)
            service, = conn.EnumerateInstanceNames("CIM_ReplicationService")
            self.assertEqual(conn.InvokeMethod("DeleteGroup", service)[0], 5)
            self.await_one("CIM_InstMethodCall", lambda it: it["MethodName"] == "DeleteGroup")
        finally:
            daemon.close()

    def test_listeners_over_https_are_told_if_their_certificate_is_vouched_for(self) -> None:
        # One that a daemon has made for itself, for this host.
        maker = Daemon()
        made = (maker.state / "wbem.pem").read_text()
        maker.close()
        with tempfile.TemporaryDirectory(prefix="tidelock-wbem-") as folder:
            pem = Path(folder) / "listener.pem"
            pem.write_text(made)
            port = free_port()
            told: queue.Queue = queue.Queue()
            listener = WBEMListener("127.0.0.1", https_port=port, certfile=str(pem), keyfile=str(pem))
            listener.add_callback(lambda indication, host: told.put(indication))
            listener.start()
            daemon = Daemon(wbem=f'listener_certificates = "{pem}"\n')
            try:
                conn = daemon.connect()
                ends = {
                    "Filter": ("CIM_IndicationFilter", {"Query": "SELECT * FROM CIM_InstMethodCall", "QueryLanguage": "WQL"}),
                    "Handler": ("CIM_ListenerDestinationCIMXML", {"Destination": f"https://127.0.0.1:{port}"}),
                }
                paths = {
                    end: conn.CreateInstance(pywbem.CIMInstance(cls, {"Name": "s", **more}), namespace="interop")
                    for end, (cls, more) in ends.items()
                }
                conn.CreateInstance(pywbem.CIMInstance("CIM_IndicationSubscription", paths), namespace="interop")
                service, = conn.EnumerateInstanceNames("CIM_ReplicationService")
                self.assertEqual(conn.InvokeMethod("DeleteGroup", service)[0], 5)
                found = told.get(timeout=PATIENCE_SECONDS)
                self.assertEqual((found.classname, found["MethodName"]), ("CIM_InstMethodCall", "DeleteGroup"))
            finally:
                daemon.close()
                listener.stop()

    def test_what_cannot_be_subscribed_to_is_refused_in_words(self) -> None:
        for code, instance in [
            (pywbem.CIM_ERR_INVALID_QUERY, {"Query": "SELECT x FROM CIM_Indication", "QueryLanguage": "WQL"}),
            (pywbem.CIM_ERR_QUERY_LANGUAGE_NOT_SUPPORTED, {"Query": "SELECT", "QueryLanguage": "SQL"}),
        ]:
            with self.subTest(code=code), self.assertRaises(CIMError) as caught:
                found = pywbem.CIMInstance("CIM_IndicationFilter", {"Name": "f", **instance})
                self.conn.CreateInstance(found, namespace="interop")
            self.assertEqual(caught.exception.status_code, code)
            self.assertTrue(caught.exception.status_description)
        for url in ("https://127.0.0.1:1", "mailto:root"):
            with self.assertRaises(CIMError) as caught:
                found = pywbem.CIMInstance("CIM_ListenerDestinationCIMXML", {"Name": "h", "Destination": url})
                self.conn.CreateInstance(found, namespace="interop")
            self.assertEqual(caught.exception.status_code, pywbem.CIM_ERR_INVALID_PARAMETER)
        volume = self.conn.GetInstance(self.volume("vol"))
        with self.assertRaises(CIMError) as caught:
            self.conn.ModifyInstance(volume)
        self.assertEqual(caught.exception.status_code, pywbem.CIM_ERR_NOT_SUPPORTED)
        with self.assertRaises(CIMError) as caught:
            self.conn.DeleteInstance(volume.path)
        self.assertEqual(caught.exception.status_code, pywbem.CIM_ERR_NOT_SUPPORTED)
        self.assertEqual(self.supported(volume.path, CREATE_ELEMENT_REPLICA)[0], 0)
        self.assertEqual(self.supported(volume.path, Uint16(7))[0], 5)
