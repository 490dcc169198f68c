"""Mirrors by CIM alone, from Create to Detach. Run by tests/wbem/run."""

import pywbem
from pywbem import CIMError, Uint16

from house import DETACH, JOB_STARTED, MIRROR, RESTORE, SNAPSHOT, Case

FAILOVER, FAILBACK, FRACTURE, RESYNC = Uint16(10), Uint16(11), Uint16(12), Uint16(14)
RESUME, REVERSE, SPLIT, SUSPEND = Uint16(16), Uint16(20), Uint16(21), Uint16(22)
SYNCHRONIZED = Uint16(4)
FRACTURED, SPLIT_STATE, SUSPENDED, FAILED_OVER = 6, 7, 9, 10


class Mirrors(Case):
    def setUp(self) -> None:
        self.daemon.run("volume", "create", "a", "--size", "16M")
        self.daemon.run("volume", "create", "b", "--size", "16M")

    def tearDown(self) -> None:
        for mirror in self.daemon.json("mirror", "list")["mirrors"]:
            self.daemon.run("mirror", "detach", mirror["source"]["volume"], "--force")
        for name in ("a", "b"):
            # What a restore has kept.
            for snapshot in self.daemon.json("snapshot", "list", name)["snapshots"]:
                self.daemon.run("snapshot", "delete", f"{name}@{snapshot['name']}", "--yes")
            self.daemon.run("volume", "delete", name, "--yes")

    def create(self, **more):
        code, out = self.service(
            "CreateElementReplica", SyncType=MIRROR, SourceElement=self.volume("a"),
            TargetElement=self.volume("b"), **more,
        )
        self.assertIn(code, (0, JOB_STARTED), self.why(out))
        return out["Synchronization"], out.get("Job")

    def done(self, code, out) -> None:
        """What has begun comes to its end."""
        self.assertIn(code, (0, JOB_STARTED), self.why(out))
        if code == JOB_STARTED:
            job = self.follow(out["Job"])
            self.assertEqual(job["JobState"], 7, job["ErrorDescription"])

    def mirror(self):
        """The one that there is, as it is now."""
        code, out = self.service("GetReplicationRelationships", SyncType=MIRROR)
        self.assertEqual(code, 0)
        found = out["Synchronizations"]
        self.assertEqual(len(found), 1)
        return found[0], self.conn.GetInstance(found[0])

    def modify(self, operation, **more):
        path, _ = self.mirror()
        return self.service("ModifyReplicaSynchronization", Operation=operation, Synchronization=path, **more)

    def name(self, path) -> str:
        return self.conn.GetInstance(path)["ElementName"]

    def test_from_create_to_detach(self) -> None:
        a, b = self.volume("a"), self.volume("b")
        # Each could be either end of one.
        self.assertEqual(self.supported(a, OtherElement=b), (0, [6, 6, 6, 6], [2, 2, 3, 3], [2, 3, 2, 3]))
        code, out = self.service("GetAvailableTargetElements", SourceElement=a, SyncType=MIRROR)
        self.assertEqual(code, 0)
        self.assertIn("b", [self.name(it) for it in out["Candidates"]])
        path, job = self.create(WaitForCopyState=SYNCHRONIZED)
        if job is not None:
            ended = self.follow(job)
            self.assertEqual(ended["JobState"], 7, ended["ErrorDescription"])
            affected = self.conn.AssociatorNames(job, AssocClass="CIM_AffectedJobElement")
            self.assertEqual([self.name(it) for it in affected], ["b"])
        found = self.conn.GetInstance(path)
        self.assertEqual(
            {name: found[name] for name in ("SyncType", "Mode", "CopyState", "ProgressStatus", "SyncState")},
            {"SyncType": 6, "Mode": 2, "CopyState": 4, "ProgressStatus": 2, "SyncState": 6},
        )
        self.assertEqual((found["PercentSynced"], found["SyncMaintained"], found["CopyType"]), (100, True, 3))
        self.assertEqual((found["CopyRecoveryMode"], found["FailedCopyStopsHostIO"]), (2, False))
        self.assertEqual([self.name(found[it]) for it in ("SystemElement", "SyncedElement")], ["a", "b"])
        self.assertEqual([self.conn.GetInstance(it)["Usage"] for it in (a, b)], [6, 8])
        # Both ends can be copied, and neither is an end of a second one.
        self.assertEqual(self.supported(a), (0, [7, 8], [2, 3], [2, 2]))
        self.assertEqual(self.supported(b), (0, [7, 8], [2, 3], [2, 2]))
        self.assertEqual(self.supported(a, OtherElement=b), (6, [], [], []))
        code, out = self.capabilities("GetSupportedOperationsForSynchronization", Synchronization=path)
        self.assertEqual((code, out["SupportedOperations"]), (0, [8, 10, 12, 18, 20, 21, 22]))
        code, out = self.modify(DETACH)
        self.assertEqual(code, 0, self.why(out))
        with self.assertRaises(CIMError) as caught:
            self.conn.GetInstance(path)
        self.assertEqual(caught.exception.status_code, pywbem.CIM_ERR_NOT_FOUND)
        self.assertEqual(self.daemon.json("mirror", "list")["mirrors"], [])
        self.assertEqual(self.supported(a, OtherElement=b), (0, [6, 6, 6, 6], [2, 2, 3, 3], [2, 3, 2, 3]))

    def test_every_operation_leads_where_the_model_says(self) -> None:
        self.done(*self.service(
            "CreateElementReplica", SyncType=MIRROR, SourceElement=self.volume("a"),
            TargetElement=self.volume("b"),
        ))
        for operation, wait, state in [
            (SUSPEND, SUSPENDED, SUSPENDED),
            (RESUME, None, 4),
            (FRACTURE, FRACTURED, FRACTURED),
            (RESYNC, 4, 4),
            (SPLIT, None, SPLIT_STATE),
            # The source is the target's image again, and the two are held as they were.
            (RESTORE, None, SPLIT_STATE),
            (RESYNC, None, 4),
            (FAILOVER, FAILED_OVER, FAILED_OVER),
            (FAILBACK, 4, 4),
        ]:
            with self.subTest(operation=int(operation)):
                more = {} if wait is None else {"WaitForCopyState": Uint16(wait)}
                self.done(*self.modify(operation, **more))
                _, found = self.mirror()
                self.assertEqual(found["CopyState"], state)
                told = self.supported_operations()
                for other in (FRACTURE, RESYNC, RESUME, SPLIT, SUSPEND, FAILOVER, FAILBACK, REVERSE, RESTORE):
                    # What isn't told of is refused, and what is is done in its turn of this list.
                    if other not in told:
                        code, out = self.modify(other)
                        self.assertEqual(code, 6, other)
                        self.assertTrue(self.why(out))
        before, _ = self.mirror()
        self.done(*self.modify(REVERSE))
        after, found = self.mirror()
        # The keys are the roles.
        self.assertEqual(after["SystemElement"], before["SyncedElement"])
        self.assertEqual([self.name(found[it]) for it in ("SystemElement", "SyncedElement")], ["b", "a"])
        self.assertEqual(self.modify(Uint16(9))[0], 1)
        self.assertEqual(self.modify(RESUME, WaitForCopyState=Uint16(6))[0], 6)

    def supported_operations(self):
        path, _ = self.mirror()
        code, out = self.capabilities("GetSupportedOperationsForSynchronization", Synchronization=path)
        self.assertEqual(code, 0)
        return out["SupportedOperations"]

    def test_what_is_no_mirror_is_refused_and_says_why(self) -> None:
        code, out = self.service("CreateElementReplica", SyncType=MIRROR, SourceElement=self.volume("a"))
        self.assertEqual(code, 5)
        self.assertIn("target", self.why(out).lower())
        for source, target, expected in [("a", "a", 5), ("a", "vol", 1), ("vol", "a", 1)]:
            code, out = self.service(
                "CreateElementReplica", SyncType=MIRROR, SourceElement=self.volume(source),
                TargetElement=self.volume(target),
            )
            self.assertEqual(code, expected, (source, target))
            self.assertTrue(self.why(out))
        code, out = self.service(
            "CreateElementReplica", SyncType=SNAPSHOT, SourceElement=self.volume("a"), TargetElement=self.volume("b")
        )
        self.assertEqual(code, 1, self.why(out))
