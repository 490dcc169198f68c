//! Who subscribes to what, and what they are told.

use tidelock_capabilities::values::{CopyState, ReturnCode};

use super::asking::*;
use super::fake::Fake;
use crate::model::Health;
use crate::xml::{Element, Limits, read};
use crate::{INTEROP, NAMESPACE, Server};

const AT: &str = "2026-11-26T16:43:06Z";
const URL: &str = "http://listener:5000";

fn property_xml(name: &str, text: &str) -> String {
    let text = text.replace('<', "&lt;").replace('>', "&gt;");
    format!("<PROPERTY NAME=\"{name}\" TYPE=\"string\"><VALUE>{text}</VALUE></PROPERTY>")
}

fn filter(query: &str, language: &str) -> String {
    let all = property_xml("Name", "f")
        + &property_xml("Query", query)
        + &property_xml("QueryLanguage", language);
    format!("<INSTANCE CLASSNAME=\"CIM_IndicationFilter\">{all}</INSTANCE>")
}

fn handler(url: &str) -> String {
    let all = property_xml("Name", "h") + &property_xml("Destination", url);
    format!("<INSTANCE CLASSNAME=\"CIM_ListenerDestinationCIMXML\">{all}</INSTANCE>")
}

fn kept_path(class: &str, name: &str) -> String {
    path(
        class,
        &[
            ("SystemCreationClassName", "Tidelock_ComputerSystem"),
            ("SystemName", "host"),
            ("CreationClassName", class),
            ("Name", name),
        ],
    )
}

fn filter_path() -> String {
    kept_path("CIM_IndicationFilter", "f")
}

fn handler_path() -> String {
    kept_path("CIM_ListenerDestinationCIMXML", "h")
}

fn subscription(filter: &str, handler: &str) -> String {
    let end = |name: &str, path: &str| {
        format!(
            "<PROPERTY.REFERENCE NAME=\"{name}\">{}</PROPERTY.REFERENCE>",
            reference(path)
        )
    };
    let all = end("Filter", filter) + &end("Handler", handler);
    format!("<INSTANCE CLASSNAME=\"CIM_IndicationSubscription\">{all}</INSTANCE>")
}

fn subscription_path() -> String {
    let key = |name: &str, path: &str| {
        format!(
            "<KEYBINDING NAME=\"{name}\">{}</KEYBINDING>",
            reference(path)
        )
    };
    let keys = key("Filter", &filter_path()) + &key("Handler", &handler_path());
    format!("<INSTANCENAME CLASSNAME=\"CIM_IndicationSubscription\">{keys}</INSTANCENAME>")
}

fn intrinsic_at(server: &Server, fake: &Fake, name: &str, parameter: (&str, String)) -> Element {
    inside(&ask_at(
        server,
        fake,
        &intrinsic(name, INTEROP, &[parameter]),
        0,
    ))
}

/// The code of an error, or 0.
fn code(response: &Element) -> u16 {
    let error = response.child("ERROR");
    error.map_or(0, |it| it.attribute("CODE").unwrap().parse().unwrap())
}

fn create(server: &Server, fake: &Fake, instance: String) -> u16 {
    code(&intrinsic_at(
        server,
        fake,
        "CreateInstance",
        ("NewInstance", instance),
    ))
}

fn delete(server: &Server, fake: &Fake, path: String) -> u16 {
    code(&intrinsic_at(
        server,
        fake,
        "DeleteInstance",
        ("InstanceName", path),
    ))
}

fn subscribed(fake: &Fake, query: &str) -> Server {
    let server = Server::default();
    assert_eq!(create(&server, fake, filter(query, "WQL")), 0);
    assert_eq!(create(&server, fake, handler(URL)), 0);
    assert!(!server.has_subscribers());
    assert_eq!(
        create(&server, fake, subscription(&filter_path(), &handler_path())),
        0
    );
    assert!(server.has_subscribers());
    // The first look tells nothing: all of that was there.
    assert_eq!(server.observe(fake, AT), []);
    server
}

/// The indications that are sent, by class.
fn told(server: &Server, fake: &Fake) -> Vec<Element> {
    let all = server.observe(fake, AT).into_iter();
    all.map(|it| {
        assert_eq!(it.destination, URL);
        let root = read(it.body.as_bytes(), &Limits::default()).unwrap();
        let call = &root.children[0].children[0].children[0];
        assert_eq!(call.attribute("NAME"), Some("ExportIndication"));
        call.children[0].children[0].clone()
    })
    .collect()
}

fn classes(told: &[Element]) -> Vec<&str> {
    told.iter()
        .filter_map(|it| it.attribute("CLASSNAME"))
        .collect()
}

#[test]
fn what_comes_goes_and_changes_is_told_to_who_wants_to_know() {
    let mut fake = Fake::new();
    let of_copies =
        "SELECT * FROM CIM_InstIndication WHERE SourceInstance ISA CIM_StorageSynchronized";
    let server = subscribed(&fake, of_copies);
    fake.inventory.associations[1].copy_state = CopyState::Broken;
    let gone = fake.inventory.associations.remove(0);
    let found = told(&server, &fake);
    assert_eq!(
        classes(&found),
        ["CIM_InstModification", "CIM_InstDeletion"]
    );
    let source = property(&found[0], "SourceInstance").unwrap().remove(0);
    assert!(
        source.contains("CLASSNAME=\"MSISCSITARGET_StorageSynchronized\""),
        "{source}"
    );
    assert!(
        source.contains("<PROPERTY NAME=\"CopyState\" TYPE=\"uint16\"><VALUE>5</VALUE>"),
        "{source}"
    );
    let previous = property(&found[0], "PreviousInstance").unwrap().remove(0);
    assert!(
        previous.contains("<PROPERTY NAME=\"CopyState\" TYPE=\"uint16\"><VALUE>4</VALUE>"),
        "{previous}"
    );
    let when = property(&found[0], "IndicationTime").unwrap();
    assert_eq!(when, ["20261126164306.000000+000"]);
    fake.inventory.associations.push(gone);
    // How far a copy is changes all the time.
    fake.inventory.associations[0].percent_synced = Some(50);
    assert_eq!(classes(&told(&server, &fake)), ["CIM_InstCreation"]);
    assert!(told(&server, &fake).is_empty());
    // Nor is anybody told of volumes here.
    fake.inventory.elements[0].health = Health::Failed;
    assert!(told(&server, &fake).is_empty());
}

#[test]
fn only_what_has_to_differ_is_told_of() {
    let mut fake = Fake::new();
    let server = subscribed(
        &fake,
        "SELECT * FROM CIM_InstModification WHERE SourceInstance ISA CIM_StorageSynchronized AND \
         SourceInstance.CIM_StorageSynchronized::CopyState<>PreviousInstance.CIM_StorageSynchronized::CopyState",
    );
    fake.inventory.associations[0].stops_hosts = Some(true);
    assert!(told(&server, &fake).is_empty());
    fake.inventory.associations[0].copy_state = CopyState::Fractured;
    assert_eq!(classes(&told(&server, &fake)), ["CIM_InstModification"]);
}

#[test]
fn what_breaks_is_an_alert_and_that_it_is_well_again_another_one() {
    let mut fake = Fake::new();
    let server = subscribed(&fake, "SELECT * FROM CIM_AlertIndication");
    fake.inventory.elements[0].health = Health::Failed;
    fake.inventory.associations[1].copy_state = CopyState::Broken;
    let found = told(&server, &fake);
    assert_eq!(classes(&found), ["CIM_AlertIndication"; 2]);
    let severities: Vec<_> = found
        .iter()
        .map(|it| property(it, "PerceivedSeverity").unwrap())
        .collect();
    assert_eq!(severities, [["5"], ["6"]]);
    let messages: Vec<_> = found
        .iter()
        .map(|it| property(it, "Message").unwrap().remove(0))
        .collect();
    assert_eq!(
        messages[0],
        "two <&> to copy: the copy is broken: an end, or the way to it, has failed"
    );
    assert!(messages[1].starts_with("one: "), "{messages:?}");
    let subject = property(&found[1], "AlertingManagedElement")
        .unwrap()
        .remove(0);
    assert!(
        subject.starts_with("root/cimv2/storage/iscsitarget:MSISCSITARGET_StorageVolume."),
        "{subject}"
    );
    fake.inventory.elements[0].health = Health::Ok;
    assert_eq!(
        property(&told(&server, &fake)[0], "PerceivedSeverity").unwrap(),
        ["2"]
    );
}

#[test]
fn why_a_method_was_refused_is_told() {
    let mut fake = Fake::new();
    let server = subscribed(&fake, "select * from CIM_InstMethodCall");
    fake.refuse = Some(ReturnCode::InUse);
    let members = format!("<VALUE.REFARRAY>{}</VALUE.REFARRAY>", reference(&volume(1)));
    let all = [("GroupName", value("g")), ("Members", members)];
    ask_at(
        &server,
        &fake,
        &extrinsic("CreateGroup", &service(), &all),
        0,
    );
    let found = told(&server, &fake);
    assert_eq!(classes(&found), ["CIM_InstMethodCall"]);
    assert_eq!(property(&found[0], "MethodName").unwrap(), ["CreateGroup"]);
    assert_eq!(property(&found[0], "ReturnValue").unwrap(), ["6"]);
    let error = property(&found[0], "Error").unwrap().remove(0);
    assert!(error.contains("<VALUE>the fake refuses</VALUE>"), "{error}");
    assert!(told(&server, &fake).is_empty());
}

#[test]
fn subscriptions_are_kept_listed_and_deleted_in_order() {
    let fake = Fake::new();
    let server = subscribed(&fake, "SELECT * FROM CIM_Indication");
    let names = |class: &str| {
        let request = intrinsic(
            "EnumerateInstanceNames",
            INTEROP,
            &[("ClassName", super::asking::class(class))],
        );
        let response = inside(&ask_at(&server, &fake, &request, 0));
        response.child("IRETURNVALUE").unwrap().children.len()
    };
    for class in [
        "CIM_IndicationFilter",
        "CIM_ListenerDestination",
        "CIM_IndicationSubscription",
    ] {
        assert_eq!(names(class), 1, "{class}");
    }
    // As after a restart.
    let again = Server::default();
    again.restore(&fake.kept.lock().unwrap()).unwrap();
    assert!(again.has_subscribers());
    assert_eq!(
        create(&again, &fake, filter("SELECT * FROM CIM_Indication", "WQL")),
        11
    );
    assert!(Server::default().restore("<OTHER/>").is_err());
    // What is referred to stays.
    assert_eq!(delete(&server, &fake, filter_path()), 1);
    assert_eq!(delete(&server, &fake, handler_path()), 1);
    assert_eq!(delete(&server, &fake, subscription_path()), 0);
    assert_eq!(delete(&server, &fake, subscription_path()), 6);
    assert_eq!(delete(&server, &fake, filter_path()), 0);
    assert_eq!(delete(&server, &fake, handler_path()), 0);
    assert!(!server.has_subscribers());
    assert!(!fake.kept.lock().unwrap().contains("INSTANCE"));
}

#[test]
fn what_cant_be_subscribed_to_says_why() {
    let fake = Fake::new();
    let server = Server::default();
    for (query, language, expected) in [
        ("SELECT * FROM CIM_Indication", "SQL", 14),
        ("SELECT Name FROM CIM_Indication", "WQL", 15),
        ("SELECT * FROM CIM_StorageVolume", "WQL", 15),
        ("SELECT * FROM CIM_Nothing", "WQL", 15),
        ("SELECT * FROM CIM_Indication WHERE", "WQL", 15),
        ("SELECT * FROM CIM_Indication ORDER BY x", "WQL", 15),
        (
            "SELECT * FROM CIM_Indication WHERE SourceInstance ISA CIM_Nothing",
            "WQL",
            15,
        ),
        (
            "SELECT * FROM CIM_Indication WHERE SourceInstance.A = 1",
            "WQL",
            15,
        ),
        (
            "SELECT * FROM CIM_Indication WHERE SourceInstance.A <> PreviousInstance.B",
            "WQL",
            15,
        ),
        ("", "WQL", 15),
    ] {
        assert_eq!(
            create(&server, &fake, filter(query, language)),
            expected,
            "{query}"
        );
    }
    assert_eq!(create(&server, &fake, handler("ftp://x")), 4);
    assert_eq!(
        create(
            &server,
            &fake,
            subscription(&filter_path(), &handler_path())
        ),
        4
    );
    let nameless = "<INSTANCE CLASSNAME=\"CIM_ListenerDestinationCIMXML\"/>".to_owned();
    assert_eq!(create(&server, &fake, nameless), 4);
    let other = "<INSTANCE CLASSNAME=\"CIM_ReplicationGroup\"/>".to_owned();
    assert_eq!(create(&server, &fake, other), 7);
    assert_eq!(delete(&server, &fake, volume(1)), 7);
    let elsewhere = intrinsic(
        "CreateInstance",
        NAMESPACE,
        &[("NewInstance", handler(URL))],
    );
    assert_eq!(code(&inside(&ask_at(&server, &fake, &elsewhere, 0))), 7);
    // What changes instances directly isn't answered, whatever it is given.
    let named = format!(
        "<VALUE.NAMEDINSTANCE>{}{}</VALUE.NAMEDINSTANCE>",
        volume(1),
        handler(URL)
    );
    let modify = intrinsic_at(
        &server,
        &fake,
        "ModifyInstance",
        ("ModifiedInstance", named),
    );
    assert_eq!(code(&modify), 7);
}

#[test]
fn destinations_are_bounded() {
    let fake = Fake::new();
    let server = Server::default();
    for number in 0..64 {
        let url = property_xml("Destination", URL);
        let name = property_xml("Name", &number.to_string());
        let instance =
            format!("<INSTANCE CLASSNAME=\"CIM_ListenerDestinationCIMXML\">{name}{url}</INSTANCE>");
        assert_eq!(create(&server, &fake, instance), 0);
    }
    assert_eq!(create(&server, &fake, handler(URL)), 27);
}
