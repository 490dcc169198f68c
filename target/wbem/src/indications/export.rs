//! An indication as a message: ExportIndication of DSP0200 (5.4.2, export messages) in CIM-XML.

use crate::instance::{Instance, Selection};
use crate::write::Writer;

/// The body of a POST.
pub(super) fn message(number: u64, indication: &Instance) -> String {
    let mut w = Writer::default();
    w.raw("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
    let version = [("CIMVERSION", "2.0"), ("DTDVERSION", "2.0")];
    w.element("CIM", &version, |w| {
        let id = number.to_string();
        let attributes = [("ID", id.as_str()), ("PROTOCOLVERSION", "1.0")];
        w.element("MESSAGE", &attributes, |w| {
            w.element("SIMPLEEXPREQ", &[], |w| {
                w.element("EXPMETHODCALL", &[("NAME", "ExportIndication")], |w| {
                    w.element("EXPPARAMVALUE", &[("NAME", "NewIndication")], |w| {
                        indication.write(w, &Selection::default());
                    });
                });
            });
        });
    });
    w.raw("\n");
    w.finish()
}
