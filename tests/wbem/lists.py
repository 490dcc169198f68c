"""Several copies by one call, and settings that go in and come out. Run by tests/wbem/run."""

import pywbem
from pywbem import CIMInstance, Uint16

from house import CLONE, DETACH, JOB_STARTED, MIRROR, RETURN_TO_POOL, SNAPSHOT, Case


class Lists(Case):
    def test_snapshots_of_a_list_are_made_and_deleted_together(self) -> None:
        sources = [self.volume("vol"), self.volume("other")]
        code, out = self.service(
            "CreateListReplica", ElementNames=["one", "two"], SyncType=SNAPSHOT, SourceElements=sources
        )
        self.assertEqual(code, 0, self.why(out))
        self.assertLessEqual({"vol@one", "other@two"}, self.names())
        self.assertEqual(len(out["TargetElements"]), 2)
        code, found = self.capabilities("GetSupportedListOperations", ReplicationType=Uint16(6))
        self.assertEqual((code, found["SupportedListOperations"]), (0, [15, 19]))
        ties = out["Synchronizations"]
        code, out = self.service("ModifyListSynchronization", Operation=DETACH, Synchronization=ties)
        self.assertEqual(code, 1, self.why(out))
        code, out = self.service("ModifyListSynchronization", Operation=RETURN_TO_POOL, Synchronization=ties)
        self.assertEqual(code, 0, self.why(out))
        self.assertFalse({"vol@one", "other@two"} & self.names())

    def test_clones_of_a_list_have_one_job(self) -> None:
        code, out = self.service(
            "CreateListReplica", ElementNames=["c1", "c2"], SyncType=CLONE,
            SourceElements=[self.volume("vol"), self.volume("other")],
        )
        self.assertIn(code, (0, JOB_STARTED), self.why(out))
        if code == JOB_STARTED:
            job = self.follow(out["Job"])
            self.assertEqual((job["JobState"], job["PercentComplete"]), (7, 100), job["ErrorDescription"])
        code, out = self.service(
            "ModifyListSynchronization", Operation=DETACH, Synchronization=out["Synchronizations"]
        )
        self.assertEqual(code, 0, self.why(out))
        for name in ("c1", "c2"):
            self.daemon.run("volume", "delete", name, "--yes")

    def test_one_that_is_refused_says_which_and_the_job_why(self) -> None:
        code, out = self.service(
            "CreateListReplica", SyncType=SNAPSHOT, ElementNames=["fine", "not fine"],
            SourceElements=[self.volume("vol"), self.volume("other")],
        )
        self.assertEqual(code, 5)
        self.assertEqual(len(out["TargetElements"]), 1)
        self.assertIn("SourceElements[1]", self.why(out))
        code, told = self.conn.InvokeMethod("GetError", out["Job"])
        self.assertEqual((code, told["Error"].classname), (0, "CIM_Error"))
        self.assertEqual(told["Error"]["Message"], self.why(out))
        code, _ = self.service(
            "ModifyReplicaSynchronization", Operation=RETURN_TO_POOL, Synchronization=out["Synchronizations"][0]
        )
        self.assertEqual(code, 0)

    def test_settings_come_out_and_go_in(self) -> None:
        code, out = self.capabilities("GetDefaultReplicationSettingData", ReplicationType=Uint16(2))
        self.assertEqual(code, 0)
        settings = out["DefaultInstance"]
        self.assertEqual((settings["FailedCopyStopsHostIO"], settings["CopyRecoveryMode"]), (False, 2))
        for number, values in [(10, [2, 3]), (11, [2, 4]), (15, [3]), (7, [1, 5])]:
            code, out = self.capabilities(
                "GetSupportedReplicationSettingData", ReplicationType=Uint16(2), PropertyName=Uint16(number)
            )
            self.assertEqual((code, out["SupportedValues"]), (0, values))
        self.daemon.run("volume", "create", "from", "--size", "8M")
        self.daemon.run("volume", "create", "to", "--size", "8M")
        settings["FailedCopyStopsHostIO"] = True
        code, out = self.service(
            "CreateElementReplica", SyncType=MIRROR, SourceElement=self.volume("from"),
            TargetElement=self.volume("to"), ReplicationSettingData=settings,
        )
        self.assertIn(code, (0, JOB_STARTED), self.why(out))
        self.assertTrue(self.conn.GetInstance(out["Synchronization"])["FailedCopyStopsHostIO"])
        self.daemon.run("mirror", "detach", "from", "--force")
        wrong = CIMInstance("CIM_ReplicationSettingData", {"CopyRecoveryMode": Uint16(3)})
        code, out = self.service(
            "CreateElementReplica", SyncType=MIRROR, SourceElement=self.volume("from"),
            TargetElement=self.volume("to"), ReplicationSettingData=wrong,
        )
        self.assertEqual(code, 1)
        self.assertIn("CopyRecoveryMode", self.why(out))
        for name in ("from", "to"):
            self.daemon.run("volume", "delete", name, "--yes")

    def test_the_names_of_the_twenty_methods_and_the_services(self) -> None:
        cls = self.conn.GetClass("CIM_ReplicationServiceCapabilities", LocalOnly=False)
        self.assertEqual(len(cls.methods), 21)
        service = self.conn.GetClass("CIM_ReplicationService", LocalOnly=False)
        self.assertIn("CreateListReplica", service.methods)
        with self.assertRaises(pywbem.CIMError) as caught:
            self.service("CreateGroupReplicaFromElements")
        self.assertEqual(caught.exception.status_code, pywbem.CIM_ERR_METHOD_NOT_FOUND)
