//! Requests as a client writes them, and what is looked for in the answers.

use std::time::Duration;

use super::fake::Fake;
use crate::xml::{Element, Limits, read};
use crate::{Incoming, NAMESPACE, Outgoing, Server};

pub(super) fn namespace_path(namespace: &str) -> String {
    let names = namespace.split('/');
    let inside: String = names
        .map(|it| format!("<NAMESPACE NAME=\"{it}\"/>"))
        .collect();
    format!("<LOCALNAMESPACEPATH>{inside}</LOCALNAMESPACEPATH>")
}

pub(super) fn message(call: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\">\
         <MESSAGE ID=\"1001\" PROTOCOLVERSION=\"1.0\"><SIMPLEREQ>{call}</SIMPLEREQ></MESSAGE></CIM>"
    )
}

/// `parameters` are names with the XML of their values.
pub(super) fn intrinsic(name: &str, namespace: &str, parameters: &[(&str, String)]) -> String {
    let all: String = parameters
        .iter()
        .map(|(name, value)| format!("<IPARAMVALUE NAME=\"{name}\">{value}</IPARAMVALUE>"))
        .collect();
    let place = namespace_path(namespace);
    message(&format!(
        "<IMETHODCALL NAME=\"{name}\">{place}{all}</IMETHODCALL>"
    ))
}

pub(super) fn extrinsic(name: &str, object: &str, parameters: &[(&str, String)]) -> String {
    let all: String = parameters
        .iter()
        .map(|(name, value)| format!("<PARAMVALUE NAME=\"{name}\">{value}</PARAMVALUE>"))
        .collect();
    message(&format!(
        "<METHODCALL NAME=\"{name}\"><LOCALINSTANCEPATH>{}{object}</LOCALINSTANCEPATH>{all}</METHODCALL>",
        namespace_path(NAMESPACE)
    ))
}

pub(super) fn class(name: &str) -> String {
    format!("<CLASSNAME NAME=\"{name}\"/>")
}

pub(super) fn value(text: &str) -> String {
    format!("<VALUE>{text}</VALUE>")
}

pub(super) fn path(class: &str, keys: &[(&str, &str)]) -> String {
    let keys: String = keys
        .iter()
        .map(|(name, value)| {
            format!("<KEYBINDING NAME=\"{name}\"><KEYVALUE VALUETYPE=\"string\">{value}</KEYVALUE></KEYBINDING>")
        })
        .collect();
    format!("<INSTANCENAME CLASSNAME=\"{class}\">{keys}</INSTANCENAME>")
}

pub(super) fn volume(id: u128) -> String {
    let device = tidelock_capabilities::facts::ElementId(id).to_string();
    path(
        "MSISCSITARGET_StorageVolume",
        &[
            ("DeviceID", &device),
            ("SystemCreationClassName", "Tidelock_ComputerSystem"),
            ("SystemName", "host"),
            ("CreationClassName", "MSISCSITARGET_StorageVolume"),
        ],
    )
}

pub(super) fn service() -> String {
    path(
        "MSISCSITARGET_ReplicationService",
        &[
            ("SystemCreationClassName", "Tidelock_ComputerSystem"),
            ("SystemName", "host"),
            ("CreationClassName", "MSISCSITARGET_ReplicationService"),
            ("Name", "ReplicationService"),
        ],
    )
}

pub(super) fn capabilities() -> String {
    let id = "Tidelock:ReplicationServiceCapabilities";
    path(
        "MSISCSITARGET_ReplicationServiceCapabilities",
        &[("InstanceID", id)],
    )
}

pub(super) fn group(name: &str) -> String {
    let id = format!("Tidelock:Group:{name}");
    path("Tidelock_ReplicationGroup", &[("InstanceID", &id)])
}

pub(super) fn reference(path: &str) -> String {
    format!("<VALUE.REFERENCE>{path}</VALUE.REFERENCE>")
}

pub(super) fn synchronized(class: &str, system: &str, synced: &str) -> String {
    let key = |name: &str, path: &str| {
        format!(
            "<KEYBINDING NAME=\"{name}\">{}</KEYBINDING>",
            reference(path)
        )
    };
    let keys = key("SystemElement", system) + &key("SyncedElement", synced);
    format!("<INSTANCENAME CLASSNAME=\"{class}\">{keys}</INSTANCENAME>")
}

pub(super) fn storage_synchronized(source: u128, target: u128) -> String {
    synchronized(
        "MSISCSITARGET_StorageSynchronized",
        &volume(source),
        &volume(target),
    )
}

pub(super) fn ask_at(server: &Server, fake: &Fake, request: &str, now: u64) -> Outgoing {
    let incoming = Incoming {
        cim_operation: Some("MethodCall"),
        user: "user",
        host: "host:5989",
        body: request.as_bytes(),
        ..Incoming::default()
    };
    server.answer(&incoming, fake, Duration::from_secs(now))
}

/// What is in IMETHODRESPONSE or METHODRESPONSE.
pub(super) fn inside(outgoing: &Outgoing) -> Element {
    assert_eq!(outgoing.status, 200, "{}", outgoing.body);
    let limits = Limits {
        bytes: 16 << 20,
        ..Limits::default()
    };
    let root = read(outgoing.body.as_bytes(), &limits).unwrap();
    let response = &root.children[0].children[0].children[0];
    assert_eq!(root.children[0].attribute("ID"), Some("1001"));
    response.clone()
}

pub(super) fn ask(fake: &Fake, request: &str) -> Element {
    inside(&ask_at(&Server::default(), fake, request, 0))
}

/// What is in IRETURNVALUE.
pub(super) fn found(fake: &Fake, request: &str) -> Vec<Element> {
    let response = ask(fake, request);
    let value = response.child("IRETURNVALUE");
    value
        .unwrap_or_else(|| panic!("{response:?}"))
        .children
        .clone()
}

/// The status code that comes back.
pub(super) fn error(fake: &Fake, request: &str) -> u16 {
    let response = ask(fake, request);
    let error = response
        .child("ERROR")
        .unwrap_or_else(|| panic!("{response:?}"));
    assert!(!error.attribute("DESCRIPTION").unwrap().is_empty());
    error.attribute("CODE").unwrap().parse().unwrap()
}

/// The texts of a property of an INSTANCE.
pub(super) fn property(instance: &Element, name: &str) -> Option<Vec<String>> {
    let found = instance
        .children
        .iter()
        .find(|it| it.attribute("NAME") == Some(name))?;
    let value = found.children.first();
    Some(match value {
        None => Vec::new(),
        Some(value) if value.name == "VALUE.ARRAY" => {
            value.children.iter().map(|it| it.text.clone()).collect()
        }
        Some(value) => vec![value.text.clone()],
    })
}

/// What a method returns: its code, and out parameters by name.
pub(super) fn returned(fake: &Fake, request: &str) -> (u32, Element) {
    let response = ask(fake, request);
    let value = response
        .child("RETURNVALUE")
        .unwrap_or_else(|| panic!("{response:?}"));
    (value.children[0].text.parse().unwrap(), response)
}

/// The numbers of an out parameter that is an array, if it is there.
pub(super) fn numbers(response: &Element, name: &str) -> Option<Vec<u64>> {
    let mut out = response.children_named("PARAMVALUE");
    let found = out.find(|it| it.attribute("NAME") == Some(name))?;
    let array = found
        .child("VALUE.ARRAY")
        .unwrap_or_else(|| panic!("{found:?}"));
    Some(
        array
            .children
            .iter()
            .map(|it| it.text.parse().unwrap())
            .collect(),
    )
}

/// The DeviceID or InstanceID that an out reference has, or all of an array.
pub(super) fn ids(element: &Element) -> Vec<String> {
    let mut all = Vec::new();
    collect(element, &mut all);
    all
}

fn collect(element: &Element, all: &mut Vec<String>) {
    let name = element.attribute("NAME");
    if element.name == "KEYBINDING" && matches!(name, Some("DeviceID" | "InstanceID")) {
        all.push(element.children[0].text.clone());
    }
    for child in &element.children {
        collect(child, all);
    }
}

pub(super) fn out<'e>(response: &'e Element, name: &str) -> Option<&'e Element> {
    let mut all = response.children_named("PARAMVALUE");
    all.find(|it| it.attribute("NAME") == Some(name))
}
