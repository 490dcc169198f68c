//! What is read, and what is refused.

use super::*;

fn limits() -> Limits {
    Limits {
        bytes: 4096,
        depth: 5,
        elements: 20,
        attributes: 3,
    }
}

fn error(text: &str) -> XmlError {
    read(text.as_bytes(), &limits()).unwrap_err()
}

#[test]
fn elements_attributes_and_text_are_read() {
    let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><!-- c --><A x=\"1 &amp; 2\" y='&#65;'>\
                a&lt;b<![CDATA[<c>]]>&#x42;<B/><C>d</C></A>\n";
    let root = read(text.as_bytes(), &limits()).unwrap();
    assert_eq!(root.name, "A");
    assert_eq!(root.attribute("x"), Some("1 & 2"));
    assert_eq!(root.attribute("y"), Some("A"));
    assert_eq!(root.text, "a<b<c>B");
    assert_eq!(root.child("C").unwrap().text, "d");
    assert_eq!(root.children_named("B").count(), 1);
}

#[test]
fn a_document_type_is_refused_before_anything_of_it_is_read() {
    let bomb = "<!DOCTYPE a [<!ENTITY b \"bb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>";
    assert_eq!(error(bomb), XmlError::DocType);
    let outside = "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>";
    assert_eq!(error(outside), XmlError::DocType);
}

#[test]
fn an_entity_that_xml_does_not_have_is_refused() {
    assert_eq!(error("<a>&nbsp;</a>"), XmlError::Entity("nbsp".to_owned()));
    assert!(matches!(
        error("<a x=\"&nbsp;\"/>"),
        XmlError::NotWellFormed(_)
    ));
    assert!(matches!(error("<a>&#0;</a>"), XmlError::NotWellFormed(_)));
    assert!(matches!(error("<a>&#1;</a>"), XmlError::NotWellFormed(_)));
    assert!(matches!(
        error("<a x=\"&#1;\"/>"),
        XmlError::NotWellFormed(_)
    ));
    assert!(matches!(error("<a>a & b</a>"), XmlError::NotWellFormed(_)));
}

#[test]
fn each_limit_is_kept() {
    let long = format!("<a>{}</a>", "x".repeat(4096));
    assert_eq!(
        error(&long),
        XmlError::TooLong {
            found: 4103,
            limit: 4096
        }
    );
    let deep = |depth| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    assert!(read(deep(5).as_bytes(), &limits()).is_ok());
    assert_eq!(error(&deep(6)), XmlError::TooDeep(5));
    let many = |count| format!("<a>{}</a>", "<b/>".repeat(count));
    assert!(read(many(19).as_bytes(), &limits()).is_ok());
    assert_eq!(error(&many(20)), XmlError::TooManyElements(20));
    assert!(read(b"<a b='' c='' d=''/>", &limits()).is_ok());
    assert_eq!(
        error("<a b='' c='' d='' e=''/>"),
        XmlError::TooManyAttributes(3)
    );
}

#[test]
fn other_encodings_are_refused() {
    assert_eq!(
        read(b"<a>\xff</a>", &limits()).unwrap_err(),
        XmlError::NotUtf8
    );
    let utf16: Vec<u8> = "<a/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(read(&utf16, &limits()).is_err());
    let latin = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a/>";
    assert_eq!(error(latin), XmlError::Encoding("ISO-8859-1".to_owned()));
}

#[test]
fn what_is_no_document_is_refused() {
    for text in [
        "",
        " ",
        "a",
        "<a>",
        "</a>",
        "<a></b>",
        "<a/><b/>",
        "<a/>x",
        "<a b='1' b='2'/>",
        "<a b/>",
        "<",
        "<a",
        "<a b='",
        "<![CDATA[",
        "<?",
        "<!",
    ] {
        let found = error(text);
        assert!(
            matches!(found, XmlError::NotWellFormed(_)),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn a_document_of_many_attributes_is_given_up_at_once() {
    let mut text = "<a".to_owned();
    for at in 0..100_000 {
        text.push_str(&format!(" a{at}=''"));
    }
    text.push_str("/>");
    let limits = Limits {
        bytes: 2 << 20,
        ..limits()
    };
    assert_eq!(
        read(text.as_bytes(), &limits),
        Err(XmlError::TooManyAttributes(3))
    );
}

#[test]
fn what_others_wrote_is_told_in_short() {
    assert_eq!(short("a\nb"), "a b");
    assert_eq!(short(&"é".repeat(90)), format!("{}...", "é".repeat(80)));
}
