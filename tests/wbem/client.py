"""What a WBEM client sees and does with snapshots, clones and groups. Run by tests/wbem/run."""

import pywbem
from pywbem import CIMError, Uint16, WBEMConnection, WBEMServer

from house import (
    CLONE, CREATE_ELEMENT_REPLICA, CREATE_GROUP_REPLICA, DETACH, JOB_STARTED, NAMESPACE, PASSWORD, RESTORE,
    RETURN_TO_POOL, SNAPSHOT, USER, Case,
)


class Client(Case):
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

    # What is supported. examples.py has more of it.

    def test_a_volume_says_what_can_be_made_of_it(self) -> None:
        volume = self.volume("vol")
        self.assertEqual(self.supported(volume), (0, [6, 6, 6, 6, 7, 8], [2, 2, 3, 3, 2, 3], [2, 3, 2, 3, 2, 2]))
        self.assertEqual(self.supported(volume, OtherElement=volume), (5, [], [], []))
        self.assertEqual(self.supported(volume, OtherElement=self.volume("other")), (1, [], [], []))
        gone = volume.copy()
        gone["DeviceID"] = "00000000-0000-0000-0000-000000000001"
        self.assertEqual(self.supported(gone), (5, [], [], []))

    def test_the_class_says_what_is_built(self) -> None:
        found = self.conn.GetInstance(self.only("CIM_ReplicationServiceCapabilities"))
        self.assertEqual(found["SupportedReplicationTypes"], [2, 3, 4, 5, 6, 11])
        self.assertEqual(found["SupportedStorageObjects"], [2])
        code, out = self.capabilities("GetSupportedOperations", ReplicationType=Uint16(6))
        self.assertEqual((code, out["SupportedOperations"]), (0, [15, 19]))
        code, out = self.capabilities("GetSupportedOperations", ReplicationType=Uint16(11))
        self.assertEqual((code, out["SupportedOperations"]), (0, [8]))
        code, out = self.capabilities("GetSupportedOperations", ReplicationType=Uint16(4))
        self.assertEqual((code, out["SupportedOperations"]), (0, [8, 10, 11, 12, 14, 15, 16, 18, 20, 21, 22]))
        code, out = self.capabilities("GetSupportedOperations", ReplicationType=Uint16(7))
        self.assertEqual((code, out["SupportedOperations"]), (1, []))
        code, out = self.capabilities("GetSupportedSettingsDefineStateOperations", ReplicationType=Uint16(6))
        self.assertEqual((code, out["SupportedOperations"]), (0, [4, 5]))
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
        self.assertEqual(self.supported(self.volume("clone")), (0, [6, 6, 6, 6, 7, 8], [2, 2, 3, 3, 2, 3], [2, 3, 2, 3, 2, 2]))

    def test_a_group_from_create_to_delete(self) -> None:
        code, out = self.service(
            "CreateGroup", GroupName="g", Members=[self.volume("vol"), self.volume("other")]
        )
        self.assertEqual(code, 0)
        group = out["ReplicationGroup"]
        members = self.conn.Associators(group, AssocClass="CIM_OrderedMemberOfCollection")
        self.assertEqual({it["ElementName"] for it in members}, {"vol", "other"})
        copies = (0, [6, 6, 6, 6, 7, 8], [2, 2, 3, 3, 2, 3], [2, 3, 2, 3, 2, 2])
        self.assertEqual(self.supported(group, CREATE_GROUP_REPLICA), copies)
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
            (pywbem.CIM_ERR_METHOD_NOT_FOUND, lambda: self.service("CreateGroupReplicaFromElements")),
            (pywbem.CIM_ERR_INVALID_PARAMETER, lambda: self.service("GetPeerSystems", Colour="red")),
            (pywbem.CIM_ERR_INVALID_PARAMETER, lambda: self.capabilities("GetSupportedFeatures", ReplicationType="x")),
        ]:
            with self.subTest(code=code), self.assertRaises(CIMError) as caught:
                ask()
            self.assertEqual(caught.exception.status_code, code)
            self.assertTrue(caught.exception.status_description)
        self.assertEqual(self.service("CreateElementReplica", SyncType=SNAPSHOT)[0], 5)
        self.assertEqual(self.service("GetPeerSystems"), (0, {"Systems": []}))

    def test_a_body_that_is_too_large_gets_an_answer(self) -> None:
        with self.assertRaises(pywbem.HTTPError) as caught:
            self.service(
                "CreateElementReplica", ElementName="x" * (3 << 20), SyncType=SNAPSHOT, SourceElement=self.volume("vol")
            )
        self.assertEqual(caught.exception.status, 413)

    def test_an_aspect_from_create_to_delete(self) -> None:
        vol = self.volume("vol")
        aspects = Uint16(4)
        self.assertEqual(self.supported(vol, aspects), (0, [7], [2], [2]))
        code, out = self.service("CreateSynchronizationAspect", Name="noon", SyncType=SNAPSHOT, SourceElement=vol)
        self.assertEqual(code, 0, self.why(out))
        state = out["SettingsState"]
        self.assertEqual(state["ManagedElement"], vol)
        aspect = self.conn.GetInstance(state["SettingData"])
        self.assertEqual((aspect.classname, aspect["ElementName"]), ("Tidelock_SynchronizationAspect", "vol@noon"))
        self.assertIsNotNone(aspect["WhenPointInTime"])
        self.assertIn(
            aspect.path["InstanceID"],
            [it["InstanceID"] for it in self.conn.AssociatorNames(vol, AssocClass="CIM_SettingsDefineState")],
        )
        # An aspect isn't made of what is one.
        self.assertEqual(self.supported(self.volume("vol@noon"), aspects)[0], 1)
        copy_to_target, delete = Uint16(5), Uint16(4)
        code, out = self.service("ModifySettingsDefineState", Operation=copy_to_target, SettingsState=state)
        self.assertEqual(code, JOB_STARTED, self.why(out))
        self.assertEqual(self.follow(out["Job"])["JobState"], 7)
        tie = self.conn.GetInstance(out["Synchronization"])
        self.assertEqual((tie["SyncType"], tie["CopyState"]), (8, 4))
        code, _ = self.service("ModifyReplicaSynchronization", Operation=DETACH, Synchronization=tie.path)
        self.assertEqual(code, 0)
        name = self.conn.GetInstance(out["TargetElement"])["ElementName"]
        self.daemon.run("volume", "delete", name, "--yes")
        code, out = self.service("ModifySettingsDefineState", Operation=delete, SettingsState=state)
        self.assertEqual(code, 0, self.why(out))
        self.assertNotIn("vol@noon", self.names())
        code, out = self.service("ModifySettingsDefineState", Operation=delete, SettingsState=state)
        self.assertEqual(code, 5)

    def test_nobody_comes_in_with_a_wrong_password_or_past_tls(self) -> None:
        with self.assertRaises(pywbem.AuthError):
            self.daemon.connect("wrong").EnumerateClassNames()
        plain = WBEMConnection(f"http://127.0.0.1:{self.daemon.port}", (USER, PASSWORD), NAMESPACE, timeout=10)
        with self.assertRaises(pywbem.ConnectionError):
            plain.EnumerateClassNames()
