//! Logical unit numbers: eight bytes on the wire (SAM-6), a small number in a catalog.

/// The largest number that flat space addressing can express.
const FLAT_MAX: u16 = 0x3fff;

/// Encodes LUN `number` as the eight bytes of SAM-6: peripheral device addressing below 256,
/// flat space addressing up to 16383, `None` above.
#[must_use]
pub fn encode_lun(number: u16) -> Option<[u8; 8]> {
    let first = match number {
        0..=0xff => number,
        0x100..=FLAT_MAX => 0x4000 | number,
        _ => return None,
    };
    let [high, low] = first.to_be_bytes();
    Some([high, low, 0, 0, 0, 0, 0, 0])
}

/// Decodes the eight bytes of a single-level LUN in peripheral device or flat space addressing.
///
/// Both methods name the same logical unit when the number is below 256, as initiators differ in
/// which of them they use. Anything else (well-known logical units, hierarchies, buses other than
/// zero) is `None`: such a logical unit does not exist here.
#[must_use]
pub fn decode_lun(bytes: [u8; 8]) -> Option<u16> {
    let [high, low, rest @ ..] = bytes;
    if rest != [0; 6] {
        return None;
    }
    let first = u16::from_be_bytes([high, low]);
    match high >> 6 {
        0b00 if high == 0 => Some(first),
        0b01 => Some(first & FLAT_MAX),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_that_can_be_encoded_comes_back() {
        for number in 0..=FLAT_MAX {
            assert_eq!(decode_lun(encode_lun(number).unwrap()), Some(number));
        }
        assert_eq!(encode_lun(FLAT_MAX + 1), None);
    }

    #[test]
    fn flat_addressing_of_a_small_number_is_the_same_unit() {
        assert_eq!(decode_lun([0x40, 5, 0, 0, 0, 0, 0, 0]), Some(5));
    }

    #[test]
    fn other_buses_hierarchies_and_well_known_units_do_not_exist() {
        assert_eq!(decode_lun([0x01, 5, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(decode_lun([0x00, 5, 0, 1, 0, 0, 0, 0]), None);
        assert_eq!(decode_lun([0xc1, 1, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(decode_lun([0x80, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
