//! Decoder of HTTP/1.1 responses and requests that arrive in pieces.

use crate::marks::find;

enum State {
    Head,
    /// Inside a body of known length, or of a chunk, with so many bytes left.
    Data(u64),
    ChunkSize(u64),
    ChunkExtension(u64),
    AfterChunk,
    Trailer(usize),
    UntilClose,
    Done,
}

/// Decodes one message after the other.
pub struct Decoder {
    state: State,
    head: Vec<u8>,
    chunked: bool,
    is_request: bool,
    /// Status of the current response; 0 before its head is complete.
    pub status: u16,
}

impl Decoder {
    /// Decoder of responses, which may last until the connection closes.
    pub fn of_responses() -> Self {
        Decoder {
            state: State::Head,
            head: Vec::new(),
            chunked: false,
            is_request: false,
            status: 0,
        }
    }

    /// Decoder of requests.
    pub fn of_requests() -> Self {
        Decoder { is_request: true, ..Decoder::of_responses() }
    }

    /// Head of the current message.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Prepares for the next message on the same connection.
    pub fn reset(&mut self) {
        self.state = State::Head;
        self.head.clear();
        self.status = 0;
    }

    /// Takes a piece, and calls `body` with each part of the body in it. What follows the
    /// message is dropped: peers send nothing before they are asked again.
    ///
    /// Returns whether the message is complete.
    pub fn feed(
        &mut self,
        data: &[u8],
        mut body: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<bool, String> {
        let mut at = 0;
        while at < data.len() {
            match self.state {
                State::Head => at += self.feed_head(&data[at..])?,
                State::Data(left) => {
                    let size = left.min((data.len() - at) as u64) as usize;
                    body(&data[at..at + size])?;
                    at += size;
                    self.state = match left - size as u64 {
                        0 if self.chunked => State::AfterChunk,
                        0 => State::Done,
                        left => State::Data(left),
                    };
                }
                State::ChunkSize(size) => {
                    let byte = data[at];
                    at += 1;
                    self.state = match (byte as char).to_digit(16) {
                        Some(digit) => State::ChunkSize(size << 4 | digit as u64),
                        None if byte == b'\n' => after_size(size),
                        None => State::ChunkExtension(size),
                    };
                }
                State::ChunkExtension(size) => {
                    if data[at] == b'\n' {
                        self.state = after_size(size);
                    }
                    at += 1;
                }
                State::AfterChunk => {
                    if data[at] == b'\n' {
                        self.state = State::ChunkSize(0);
                    } else if data[at] != b'\r' {
                        return Err("A chunk is longer than its size".into());
                    }
                    at += 1;
                }
                State::Trailer(length) => {
                    self.state = match data[at] {
                        b'\n' if length == 0 => State::Done,
                        b'\n' => State::Trailer(0),
                        b'\r' => State::Trailer(length),
                        _ => State::Trailer(length + 1),
                    };
                    at += 1;
                }
                State::UntilClose => {
                    body(&data[at..])?;
                    at = data.len();
                }
                State::Done => break,
            }
            if matches!(self.state, State::Done) {
                break;
            }
        }
        Ok(matches!(self.state, State::Done))
    }

    fn feed_head(&mut self, data: &[u8]) -> Result<usize, String> {
        let mut at = 0;
        while let Some(end) = find(&data[at..], b'\n') {
            self.head.extend_from_slice(&data[at..at + end + 1]);
            at += end + 1;
            if self.head.ends_with(b"\r\n\r\n") {
                self.begin_body()?;
                return Ok(at);
            }
        }
        self.head.extend_from_slice(&data[at..]);
        Ok(data.len())
    }

    fn begin_body(&mut self) -> Result<(), String> {
        let head = String::from_utf8_lossy(&self.head).to_ascii_lowercase();
        let value = |name: &str| {
            head.split("\r\n").find_map(|line| line.strip_prefix(name)).map(|text| text.trim())
        };
        if !self.is_request {
            let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
            self.status = status.ok_or(format!("Not a response: {head}"))?;
        }
        self.chunked = value("transfer-encoding:").is_some_and(|text| text.contains("chunked"));
        let length = value("content-length:").and_then(|text| text.parse().ok());
        self.state = match length {
            _ if self.chunked => State::ChunkSize(0),
            Some(0) => State::Done,
            Some(length) => State::Data(length),
            None if self.is_request || matches!(self.status, 204 | 304) => State::Done,
            None => State::UntilClose,
        };
        Ok(())
    }
}

fn after_size(size: u64) -> State {
    if size == 0 {
        State::Trailer(0)
    } else {
        State::Data(size)
    }
}
