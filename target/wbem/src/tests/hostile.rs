//! Whatever comes, the server answers.

use std::time::Duration;

use proptest::prelude::*;

use super::asking::*;
use super::fake::Fake;
use crate::{Incoming, NAMESPACE, Outgoing, Server};

fn raw(body: &[u8], operation: Option<&str>, method: Option<&str>) -> Outgoing {
    let incoming = Incoming {
        cim_operation: operation,
        cim_method: method,
        user: "user",
        host: "host",
        body,
    };
    Server::default().answer(&incoming, &Fake::new(), Duration::ZERO)
}

fn refused(body: &[u8]) -> (u16, &'static str) {
    let outgoing = raw(body, Some("MethodCall"), None);
    (outgoing.status, outgoing.cim_error.unwrap())
}

#[test]
fn what_is_no_request_is_refused_by_the_name_of_what_is_wrong() {
    for (body, status, error) in [
        ("", 400, "request-not-well-formed"),
        ("<CIM", 400, "request-not-well-formed"),
        ("<!DOCTYPE CIM><CIM/>", 400, "request-not-well-formed"),
        ("<html/>", 400, "request-not-loosely-valid"),
        ("<CIM/>", 501, "unsupported-cim-version"),
        (
            "<CIM CIMVERSION='3.0' DTDVERSION='2.0'/>",
            501,
            "unsupported-cim-version",
        ),
        (
            "<CIM CIMVERSION='2.0' DTDVERSION='1.0'/>",
            501,
            "unsupported-dtd-version",
        ),
        (
            "<CIM CIMVERSION='2.0' DTDVERSION='2.4'/>",
            400,
            "request-not-loosely-valid",
        ),
        (
            "<CIM CIMVERSION='2.0' DTDVERSION='2.0'><MESSAGE ID='1' PROTOCOLVERSION='2.0'/></CIM>",
            501,
            "unsupported-protocol-version",
        ),
        (
            "<CIM CIMVERSION='2.0' DTDVERSION='2.0'><MESSAGE ID='1' PROTOCOLVERSION='1.4'>\
             <MULTIREQ/></MESSAGE></CIM>",
            501,
            "multiple-requests-unsupported",
        ),
        (
            "<CIM CIMVERSION='2.0' DTDVERSION='2.0'><MESSAGE PROTOCOLVERSION='1.0'/></CIM>",
            400,
            "request-not-loosely-valid",
        ),
    ] {
        assert_eq!(refused(body.as_bytes()), (status, error), "{body}");
    }
    let inside = ["", "<IMETHODCALL/>", "<IMETHODRESPONSE NAME='x'/>"];
    for call in inside {
        assert_eq!(
            refused(message(call).as_bytes()),
            (400, "request-not-loosely-valid"),
            "{call}"
        );
    }
}

#[test]
fn the_headers_have_to_say_what_the_message_says() {
    let body = intrinsic("EnumerateClassNames", NAMESPACE, &[]);
    let ask = |operation, method| raw(body.as_bytes(), operation, method);
    assert_eq!(ask(None, None).cim_error, Some("header-mismatch"));
    assert_eq!(
        ask(Some("MethodResponse"), None).cim_error,
        Some("header-mismatch")
    );
    assert_eq!(
        ask(Some("MethodCall"), Some("GetClass")).cim_error,
        Some("header-mismatch")
    );
    assert_eq!(
        ask(Some("methodcall"), Some("EnumerateClassNames")).status,
        200
    );
}

#[test]
fn references_within_references_end_somewhere() {
    let mut name = volume(1);
    for _ in 0..40 {
        name = synchronized("MSISCSITARGET_StorageSynchronized", &name, &volume(2));
    }
    let request = intrinsic("GetInstance", NAMESPACE, &[("InstanceName", name)]);
    assert_eq!(
        refused(request.as_bytes()),
        (400, "request-not-well-formed")
    );
}

#[test]
fn wrong_parameters_are_told_as_such() {
    let fake = Fake::new();
    for value in [
        "<VALUE.OBJECT/>",
        "<VALUE>a</VALUE><VALUE>b</VALUE>",
        "<VALUE.REFERENCE/>",
        "<INSTANCENAME/>",
        "<INSTANCENAME CLASSNAME='x'><KEYBINDING NAME='a'/></INSTANCENAME>",
        "<INSTANCENAME CLASSNAME='x'><KEYVALUE>a</KEYVALUE></INSTANCENAME>",
        "<INSTANCENAME CLASSNAME='x'><KEYBINDING NAME='a'><KEYVALUE VALUETYPE='blob'/></KEYBINDING></INSTANCENAME>",
        "<INSTANCENAME CLASSNAME='x'><KEYBINDING NAME='a'><KEYVALUE VALUETYPE='boolean'>no</KEYVALUE></KEYBINDING></INSTANCENAME>",
        "<INSTANCENAME CLASSNAME='x'><KEYBINDING NAME='a'><KEYVALUE/></KEYBINDING><KEYBINDING NAME='A'><KEYVALUE/></KEYBINDING></INSTANCENAME>",
        "<INSTANCEPATH/>",
        "<CLASSNAME/>",
        "<VALUE.ARRAY><CLASSNAME NAME='x'/></VALUE.ARRAY>",
        "<VALUE.REFARRAY><VALUE/></VALUE.REFARRAY>",
    ] {
        let request = intrinsic(
            "GetInstance",
            NAMESPACE,
            &[("InstanceName", value.to_owned())],
        );
        assert_eq!(error(&fake, &request), 4, "{value}");
    }
    let many: Vec<_> = (0..65).map(|_| ("a", String::new())).collect();
    assert_eq!(error(&fake, &intrinsic("GetClass", NAMESPACE, &many)), 4);
    let nowhere = message("<IMETHODCALL NAME='GetClass'/>");
    assert_eq!(error(&fake, &nowhere), 4);
    let nowhere = message("<IMETHODCALL NAME='GetClass'><LOCALNAMESPACEPATH/></IMETHODCALL>");
    assert_eq!(error(&fake, &nowhere), 4);
    let nothing = message("<METHODCALL NAME='GetClass'/>");
    assert_eq!(error(&fake, &nothing), 4);
}

#[test]
fn what_a_client_wrote_comes_back_escaped() {
    let name = "&lt;x&gt;&quot;&amp;&#10;";
    let request = intrinsic("GetClass", NAMESPACE, &[("ClassName", class(name))]);
    let response = ask(&Fake::new(), &request);
    let error = response.child("ERROR").unwrap();
    let said = error.attribute("DESCRIPTION").unwrap();
    assert!(said.contains("<x>\"& "), "{said}");
}

/// Requests of all sorts, cut and changed.
fn requests() -> Vec<String> {
    vec![
        intrinsic("GetInstance", NAMESPACE, &[("InstanceName", volume(1))]),
        intrinsic("Associators", NAMESPACE, &[("ObjectName", service())]),
        intrinsic(
            "EnumerateClasses",
            NAMESPACE,
            &[("DeepInheritance", value("true"))],
        ),
        intrinsic(
            "OpenEnumerateInstances",
            NAMESPACE,
            &[("ClassName", class("CIM_Synchronized"))],
        ),
        extrinsic(
            "GetSynchronizationSupported",
            &capabilities(),
            &[
                ("LocalElement", reference(&volume(1))),
                ("MethodName", value("2")),
            ],
        ),
        extrinsic(
            "ModifyReplicaSynchronization",
            &service(),
            &[
                ("Operation", value("8")),
                ("Synchronization", reference(&storage_synchronized(2, 3))),
            ],
        ),
    ]
}

proptest! {
    #[test]
    fn nothing_that_comes_ends_the_server(
        which in 0_usize..6,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let mut body = requests().swap_remove(which).into_bytes();
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if !whole {
            body.truncate(cut.index(body.len()));
        }
        let outgoing = raw(&body, Some("MethodCall"), None);
        prop_assert!(matches!(outgoing.status, 200 | 400 | 501));
        if outgoing.status == 200 {
            let limits = crate::Limits { bytes: 1 << 24, ..crate::Limits::default() };
            prop_assert!(crate::xml::read(outgoing.body.as_bytes(), &limits).is_ok());
        }
    }
}
