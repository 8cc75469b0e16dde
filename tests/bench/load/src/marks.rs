//! Marks: fixed-width text inside each payload, which identifies an event in any protocol.
//!
//! A mark is `@@` and 30 hexadecimal digits: pipeline (6), publisher (4), number of the
//! event among those of its publisher (8) and time in nanoseconds (12). It survives JSON
//! unchanged, and `@` occurs nowhere else in a stream.

/// Length of a mark, in bytes.
pub const LENGTH: usize = 32;

/// A mark, which one event carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Number of the pipeline.
    pub pipeline: u32,
    /// Number of the publishing connection.
    pub publisher: u16,
    /// Number of the event among those of its publisher.
    pub number: u32,
    /// Time when the event was, or should have been, sent, in nanoseconds.
    pub time: u64,
}

impl Mark {
    /// Identity of the event inside its pipeline.
    pub fn identity(&self) -> u64 {
        (self.publisher as u64) << 32 | self.number as u64
    }

    /// Writes the mark over `LENGTH` bytes.
    pub fn write(&self, out: &mut [u8]) {
        out[..2].copy_from_slice(b"@@");
        write_hex(self.pipeline as u64, &mut out[2..8]);
        write_hex(self.publisher as u64, &mut out[8..12]);
        write_hex(self.number as u64, &mut out[12..20]);
        write_hex(self.time, &mut out[20..32]);
    }

    /// Reads a mark from `LENGTH` bytes.
    fn read(bytes: &[u8]) -> Option<Mark> {
        if &bytes[..2] != b"@@" {
            return None;
        }
        Some(Mark {
            pipeline: read_hex(&bytes[2..8])? as u32,
            publisher: read_hex(&bytes[8..12])? as u16,
            number: read_hex(&bytes[12..20])? as u32,
            time: read_hex(&bytes[20..32])?,
        })
    }
}

fn write_hex(mut value: u64, out: &mut [u8]) {
    for byte in out.iter_mut().rev() {
        *byte = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

fn read_hex(bytes: &[u8]) -> Option<u64> {
    bytes.iter().try_fold(0u64, |value, byte| {
        let digit = (*byte as char).to_digit(16)?;
        Some(value << 4 | digit as u64)
    })
}

/// Finds the marks in a stream that arrives in pieces.
#[derive(Default)]
pub struct Scanner {
    carried: Vec<u8>,
}

impl Scanner {
    /// Calls `found` with each mark that is complete with this piece.
    pub fn scan(&mut self, mut data: &[u8], mut found: impl FnMut(Mark)) -> Result<(), String> {
        if !self.carried.is_empty() {
            let missing = (LENGTH - self.carried.len()).min(data.len());
            self.carried.extend_from_slice(&data[..missing]);
            data = &data[missing..];
            if self.carried.len() < LENGTH {
                return Ok(());
            }
            found(read_strictly(&self.carried)?);
            self.carried.clear();
        }
        while let Some(start) = find(data, b'@') {
            if data.len() - start < LENGTH {
                self.carried.extend_from_slice(&data[start..]);
                return Ok(());
            }
            found(read_strictly(&data[start..start + LENGTH])?);
            data = &data[start + LENGTH..];
        }
        Ok(())
    }
}

fn read_strictly(bytes: &[u8]) -> Result<Mark, String> {
    Mark::read(bytes).ok_or_else(|| format!("Not a mark: {}", String::from_utf8_lossy(bytes)))
}

/// Index of a byte, by the vectorized search of the C library.
pub fn find(data: &[u8], byte: u8) -> Option<usize> {
    let start = data.as_ptr();
    // SAFETY: the range is that of the slice.
    let at = unsafe { libc::memchr(start.cast(), byte as i32, data.len()) };
    (!at.is_null()).then(|| at as usize - start as usize)
}
