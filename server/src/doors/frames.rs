//! The headers of HTTP/2's frames, found in bytes as they pass (RFC 9113, section 4.1).
//!
//! Invariant: nothing is held but the header at hand; payloads are skipped.
//! Must not know: what a frame does.

/// A frame's type: a piece of a body.
pub(super) const DATA: u8 = 0;
/// A frame's type: the begin of a request or an answer, or its trailers.
pub(super) const HEADERS: u8 = 1;
/// A frame's type: a stream is given up.
pub(super) const RST_STREAM: u8 = 3;
/// A frame's type: a question whether we are there, or the answer.
pub(super) const PING: u8 = 6;

const HEADER_BYTES: usize = 9;

/// What a frame's header says, but for its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Frame {
    /// Of a ping: it answers one.
    pub(super) fn is_ack(self) -> bool {
        self.flags & 1 != 0
    }

    /// Of data or headers: they are the last of their stream.
    pub(super) fn ends_stream(self) -> bool {
        self.flags & 1 != 0
    }
}

/// Where one direction of a connection is among its frames.
#[derive(Debug)]
pub(super) struct Frames {
    header: [u8; HEADER_BYTES],
    /// How much of `header` there is.
    held_bytes: usize,
    /// What comes before the next header.
    skipped_bytes: usize,
}

impl Frames {
    /// The first frame comes after so many bytes.
    pub(super) fn after(bytes: usize) -> Self {
        Frames { header: [0; HEADER_BYTES], held_bytes: 0, skipped_bytes: bytes }
    }

    /// Takes bytes up to and with the next header. *Shape*: none when `bytes` end before.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Option<Frame> {
        let skipped = self.skipped_bytes.min(bytes.len());
        self.skipped_bytes -= skipped;
        *bytes = &bytes[skipped..];
        let taken = (HEADER_BYTES - self.held_bytes).min(bytes.len());
        let (head, rest) = bytes.split_at(taken);
        self.header[self.held_bytes..self.held_bytes + taken].copy_from_slice(head);
        self.held_bytes += taken;
        *bytes = rest;
        if self.held_bytes < HEADER_BYTES {
            return None;
        }
        self.held_bytes = 0;
        let [a, b, c, kind, flags, stream @ ..] = self.header;
        self.skipped_bytes = u32::from_be_bytes([0, a, b, c]) as usize;
        Some(Frame { kind, flags, stream: u32::from_be_bytes(stream) & 0x7fff_ffff })
    }

    /// Whether the last frame is whole.
    pub(super) fn is_between(&self) -> bool {
        self.held_bytes == 0 && self.skipped_bytes == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_wherever_the_bytes_are_cut() {
        let bytes =
            b"preface\0\0\x03\0\x01\0\0\0\x05abc\0\0\0\x04\x01\0\0\0\0\0\0\x01\x06\0\x80\0\0\x02z";
        let expected = [(0, 1, 5), (4, 1, 0), (6, 0, 2)];
        for piece in 1..=bytes.len() {
            let mut frames = Frames::after(7);
            let mut found = Vec::new();
            for mut part in bytes.chunks(piece) {
                while let Some(frame) = frames.next(&mut part) {
                    found.push((frame.kind, frame.flags, frame.stream));
                }
                assert!(part.is_empty());
            }
            assert_eq!(found, expected, "{piece}");
            assert!(frames.is_between());
        }
    }
}
