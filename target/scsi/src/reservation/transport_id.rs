//! TransportIDs of iSCSI initiator ports (SPC-5, "TransportIDs"; RFC 7143 for the names in them).
//! Knows nothing of what they are given for.

/// Bytes in front of the name: format and protocol, a reserved byte, the length of the rest.
const HEADER: usize = 4;
/// The least ADDITIONAL LENGTH of an iSCSI TransportID.
const ADDITIONAL_LENGTH_MIN: usize = 20;
/// Protocol identifier of iSCSI.
const ISCSI: u8 = 0x5;
/// TPID FORMAT: the name of the initiator node alone.
const FORMAT_NODE: u8 = 0b00;
/// TPID FORMAT: the name of the initiator port, with the ISID.
const FORMAT_PORT: u8 = 0b01;
/// The longest iSCSI name in bytes (RFC 7143).
const NAME_MAX: usize = 223;
/// Between the name and the ISID.
const SEPARATOR: &str = ",i,0x";
/// Digits of an ISID.
const ISID_DIGITS: usize = 12;
/// Who is meant by a TransportID.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum TransportId {
    /// All ports of an initiator node.
    Node(String),
    /// One initiator port, named `iqn...,i,0xISID` as this crate always writes it.
    Port(String),
}

/// Takes the first TransportID off `input`. `None` if it isn't a whole and valid iSCSI one.
pub(crate) fn take(input: &[u8]) -> Option<(TransportId, &[u8])> {
    let (header, rest) = input.split_first_chunk::<HEADER>()?;
    let [format_and_protocol, 0, high, low] = *header else {
        return None;
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length < ADDITIONAL_LENGTH_MIN || length % 4 != 0 {
        return None;
    }
    let (name, rest) = rest.split_at_checked(length)?;
    let text = terminated(name)?;
    if format_and_protocol & 0x3f != ISCSI {
        return None;
    }
    let id = match format_and_protocol >> 6 {
        FORMAT_NODE => TransportId::Node(node_name(text)?),
        FORMAT_PORT => TransportId::Port(port_name(text)?),
        _ => return None,
    };
    Some((id, rest))
}

/// The TransportID of an initiator port of that name; its length is a multiple of four.
pub(crate) fn encode(initiator_port: &str) -> Vec<u8> {
    let format = if initiator_port.contains(SEPARATOR) {
        FORMAT_PORT
    } else {
        FORMAT_NODE
    };
    let name = initiator_port.as_bytes();
    // At least one zero ends the name.
    let length = (name.len() + 1)
        .next_multiple_of(4)
        .max(ADDITIONAL_LENGTH_MIN);
    let mut id = vec![format << 6 | ISCSI, 0];
    id.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    id.extend(name);
    id.resize(HEADER + length, 0);
    id
}

/// The node of an initiator port.
pub(crate) fn node_of(initiator_port: &str) -> &str {
    initiator_port
        .split_once(SEPARATOR)
        .map_or(initiator_port, |(node, _)| node)
}

/// The name of an initiator port as this crate writes it, if `text` is one.
pub(crate) fn port_name(text: &str) -> Option<String> {
    let (node, isid) = text.split_once(SEPARATOR)?;
    let node = node_name(node)?;
    let digits = isid.bytes().all(|digit| digit.is_ascii_hexdigit());
    if isid.is_empty() || isid.len() > ISID_DIGITS || !digits {
        return None;
    }
    let isid = u64::from_str_radix(isid, 16).ok()?;
    Some(format!("{node}{SEPARATOR}{isid:012x}"))
}

/// An iSCSI name in the form in which names are compared.
fn node_name(text: &str) -> Option<String> {
    let allowed = |c: char| !c.is_control() && !c.is_whitespace() && c != ',';
    let well_formed = (1..=NAME_MAX).contains(&text.len()) && text.chars().all(allowed);
    well_formed.then(|| text.to_ascii_lowercase())
}

/// The text in front of the first zero; only zeros may follow.
fn terminated(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let (text, padding) = bytes.split_at_checked(end)?;
    if padding.iter().any(|byte| *byte != 0) {
        return None;
    }
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PORT: &str = "iqn.2026-11.test:host,i,0x00023d000001";

    fn raw(format: u8, name: &str, length: usize) -> Vec<u8> {
        let mut id = vec![format << 6 | ISCSI, 0];
        id.extend(u16::try_from(length).unwrap().to_be_bytes());
        id.extend(name.as_bytes());
        id.resize(HEADER + length, 0);
        id
    }

    #[test]
    fn both_formats_are_read_and_what_follows_is_left() {
        let mut bytes = raw(1, "iqn.2026-11.test:Host,i,0x23D000001", 36);
        bytes.extend([1, 2, 3]);
        let expected = TransportId::Port(PORT.to_owned());
        assert_eq!(take(&bytes), Some((expected, &[1, 2, 3][..])));
        let node = TransportId::Node("iqn.a".to_owned());
        assert_eq!(take(&raw(0, "iqn.a", 20)), Some((node, &[][..])));
    }

    #[test]
    fn what_was_encoded_is_read_back() {
        let id = TransportId::Port(PORT.to_owned());
        assert_eq!(take(&encode(PORT)), Some((id, &[][..])));
        assert_eq!(encode("iqn.a").len(), 24);
        assert_eq!(node_of(PORT), "iqn.2026-11.test:host");
    }

    #[test]
    fn what_is_not_a_whole_valid_iscsi_id_is_refused() {
        let good = raw(1, PORT, 40);
        assert!(take(&good).is_some());
        for end in 0..good.len() {
            assert_eq!(take(&good[..end]), None, "{end}");
        }
        let long = "x".repeat(NAME_MAX + 1);
        let wrong = [
            raw(0, "", 20),
            raw(0, "iqn.a", 16),
            raw(0, "iqn.a", 22),
            raw(0, &long, 228),
            raw(0, "iqn.a,i,0x1", 20),
            raw(0, "iqn a", 20),
            raw(1, "iqn.a", 20),
            raw(1, "iqn.a,i,0x", 20),
            raw(1, "iqn.a,i,0x1g", 20),
            raw(1, "iqn.a,i,0x1234567890abc", 24),
            raw(2, PORT, 40),
            raw(3, PORT, 40),
        ];
        for bytes in wrong {
            assert_eq!(take(&bytes), None, "{bytes:02x?}");
        }
        for (at, value) in [(0, 0x46), (0, 0x65), (1, 1)] {
            let mut bytes = good.clone();
            bytes[at] = value;
            assert_eq!(take(&bytes), None, "{at}");
        }
        let mut unterminated = raw(0, "iqn.a", 20);
        unterminated[4..].fill(b'x');
        assert_eq!(take(&unterminated), None);
        let mut after_the_end = raw(0, "iqn.a", 20);
        after_the_end[23] = b'x';
        assert_eq!(take(&after_the_end), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Some((id, rest)) = take(&bytes) {
                let (TransportId::Node(name) | TransportId::Port(name)) = id;
                let longest = NAME_MAX + SEPARATOR.len() + ISID_DIGITS;
                prop_assert!(name.len() <= longest && rest.len() + 24 <= bytes.len());
            }
        }
    }
}
