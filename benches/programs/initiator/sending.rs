//! What is due to be sent: headers, and parts of the block that all writes share, with one call for as much as goes.

use std::collections::HashMap;
use std::io::{ErrorKind, IoSlice, Write};
use std::net::TcpStream;
use std::ops::Range;

use crate::Outcome;
use crate::pdu::{self, Header};

/// Pieces given to the kernel with one call.
const SLICES: usize = 128;

pub struct Sending {
    digests: bool,
    /// Headers with their digests, and what stands behind data.
    small: Vec<u8>,
    pieces: Vec<Piece>,
    /// How many pieces are gone, and how many bytes of the next one.
    gone: (usize, usize),
    /// Digests of parts of the block.
    sums: HashMap<(usize, usize), u32>,
}

enum Piece {
    Small(Range<usize>),
    Block(Range<usize>),
}

impl Sending {
    pub fn new(digests: bool) -> Self {
        Self { digests, small: Vec::new(), pieces: Vec::new(), gone: (0, 0), sums: HashMap::new() }
    }

    pub fn has_more(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// A PDU whose data is this part of the block.
    pub fn push(&mut self, header: &mut Header, block: &[u8], part: Range<usize>) {
        pdu::put_length(header, part.len());
        self.push_small(header);
        if self.digests {
            self.push_small(&pdu::crc32c(header).to_le_bytes());
        }
        if part.is_empty() {
            return;
        }
        let length = part.len();
        let sum = self.digests.then(|| *self.sums.entry((part.start, length)).or_insert_with(|| padded_crc32c(&block[part.clone()])));
        self.pieces.push(Piece::Block(part));
        self.push_small(&[0; 3][..length.next_multiple_of(4) - length]);
        if let Some(sum) = sum {
            self.push_small(&sum.to_le_bytes());
        }
    }

    fn push_small(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let from = self.small.len();
        self.small.extend_from_slice(bytes);
        match self.pieces.last_mut() {
            Some(Piece::Small(range)) if range.end == from => range.end = self.small.len(),
            _ => self.pieces.push(Piece::Small(from..self.small.len())),
        }
    }

    /// Sends all, or as much as a socket that doesn't block takes.
    pub fn flush(&mut self, mut stream: &TcpStream, block: &[u8]) -> Outcome<()> {
        while self.gone.0 < self.pieces.len() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut count = 0;
            for (place, piece) in slices.iter_mut().zip(&self.pieces[self.gone.0..]) {
                *place = IoSlice::new(match piece {
                    Piece::Small(range) => &self.small[range.clone()],
                    Piece::Block(range) => &block[range.clone()],
                });
                count += 1;
            }
            slices[0].advance(self.gone.1);
            match stream.write_vectored(&slices[..count]) {
                Ok(sent) => self.note(sent),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.small.clear();
        self.pieces.clear();
        self.gone = (0, 0);
        Ok(())
    }

    fn note(&mut self, mut sent: usize) {
        while let Some(Piece::Small(range) | Piece::Block(range)) = self.pieces.get(self.gone.0) {
            let left = range.len() - self.gone.1;
            if sent < left {
                self.gone.1 += sent;
                return;
            }
            sent -= left;
            self.gone = (self.gone.0 + 1, 0);
        }
    }
}

/// With the bytes that fill up the last word (RFC 7143 §11.2.3).
fn padded_crc32c(part: &[u8]) -> u32 {
    if part.len() % 4 == 0 {
        return pdu::crc32c(part);
    }
    let mut padded = part.to_vec();
    padded.resize(part.len().next_multiple_of(4), 0);
    pdu::crc32c(&padded)
}
