//! Data in pieces: cutting it, and the checksums of the blocks in it. Only bytes.

use bytes::Bytes;
use smallvec::SmallVec;
use tidelock_volume::mapped::BLOCK_BYTES;

/// Data, one piece behind the other.
pub(in crate::engine::command) type Pieces = SmallVec<[Bytes; 2]>;

/// The CRC32C of each whole block.
pub(super) fn checksums(pieces: &[Bytes]) -> SmallVec<[u32; 8]> {
    let mut checksums = SmallVec::new();
    let (mut crc, mut filled) = (0, 0);
    for piece in pieces {
        let mut rest = &piece[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(BLOCK_BYTES - filled));
            crc = crc32c::crc32c_append(crc, now);
            filled += now.len();
            rest = later;
            if filled == BLOCK_BYTES {
                checksums.push(crc);
                (crc, filled) = (0, 0);
            }
        }
    }
    checksums
}

/// Takes the first `length` bytes out, or all if there are no more.
pub(in crate::engine::command) fn take_front(pieces: &mut Pieces, length: usize) -> Pieces {
    let mut front = Pieces::new();
    let mut left = length;
    while left > 0 {
        let Some(first) = pieces.first_mut() else {
            break;
        };
        if first.len() > left {
            front.push(first.split_to(left));
            break;
        }
        left -= first.len();
        front.push(pieces.remove(0));
    }
    front
}

/// Bytes in them.
pub(in crate::engine::command) fn total(pieces: &[Bytes]) -> usize {
    pieces.iter().map(Bytes::len).sum()
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;

    fn data(length: usize) -> Bytes {
        (0..length)
            .map(|at| u8::try_from(at * 7 % 251).unwrap())
            .collect()
    }

    #[test]
    fn checksums_are_of_blocks_wherever_the_pieces_are_cut() {
        let whole = data(3 * BLOCK_BYTES);
        let expected: Vec<u32> = whole.chunks(BLOCK_BYTES).map(crc32c::crc32c).collect();
        for cuts in [
            [0, 0],
            [1, 5000],
            [4096, 4096],
            [4095, 8193],
            [12_288, 12_288],
        ] {
            let [first, second] = cuts;
            let pieces = [
                whole.slice(..first),
                whole.slice(first..second),
                Bytes::new(),
                whole.slice(second..),
            ];
            assert_eq!(checksums(&pieces)[..], expected, "{cuts:?}");
        }
        assert_eq!(checksums(&[]).len(), 0);
    }

    #[test]
    fn the_front_and_the_rest_are_the_whole() {
        let whole = data(1000);
        for length in [0, 1, 300, 301, 999, 1000, 2000] {
            let mut rest: Pieces = smallvec![whole.slice(..300), Bytes::new(), whole.slice(300..)];
            let front = take_front(&mut rest, length);
            assert_eq!(total(&front), length.min(1000));
            assert_eq!([front.concat(), rest.concat()].concat(), whole);
        }
    }
}
