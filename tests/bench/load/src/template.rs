//! Requests that differ in their pipeline and in the marks of their events only.

use crate::arguments::Arguments;
use crate::marks::{Mark, LENGTH};

/// Length of the name of a pipeline: `p_` and six digits.
const NAME_LENGTH: usize = 8;

/// Bytes of a request with places for names of pipelines and for marks.
#[derive(Clone)]
pub struct Template {
    bytes: Vec<u8>,
    names: Vec<usize>,
    marks: Vec<usize>,
}

impl Template {
    /// Template from text with `{pipeline}` and `{mark}`.
    fn of(text: &str) -> Self {
        let mut template = Template { bytes: Vec::new(), names: Vec::new(), marks: Vec::new() };
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            template.bytes.extend_from_slice(&rest.as_bytes()[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("{pipeline}") {
                template.names.push(template.bytes.len());
                template.bytes.extend_from_slice(b"p_000000");
                rest = after;
            } else if let Some(after) = rest.strip_prefix("{mark}") {
                template.marks.push(template.bytes.len());
                template.bytes.extend_from_slice(&[b'@'; LENGTH]);
                rest = after;
            } else {
                template.bytes.push(b'{');
                rest = &rest[1..];
            }
        }
        template.bytes.extend_from_slice(rest.as_bytes());
        template
    }

    /// Requests that publish `--batch` events, whose form is that of `--event`. With
    /// `--append`, the path of a request that stays open, they are its pieces, and its head
    /// is the second template.
    pub fn of_publish(arguments: &Arguments) -> Result<(Self, Option<Self>), String> {
        let batch: usize = arguments.number("batch", 1)?;
        let event = arguments.text("event", "{mark}");
        let events = vec![event; batch].join(arguments.text("separator", ","));
        let (before, after) = (arguments.text("before", ""), arguments.text("after", ""));
        let body = format!("{before}{events}{after}");
        let length = Template::of(&body).bytes.len();
        let path = arguments.text("publish", "/publish");
        let head = |path: &str, headers: &str| {
            let headers = header_lines(headers);
            format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}")
        };
        let headers = arguments.text("publish-headers", "");
        let append = arguments.text("append", "");
        if append.is_empty() {
            let head = head(path, headers);
            let request = format!("{head}Content-Length: {length}\r\n\r\n{body}");
            return Ok((Template::of(&request), None));
        }
        let head = format!("{}Transfer-Encoding: chunked\r\n\r\n", head(append, headers));
        let piece = format!("{length:x}\r\n{body}\r\n");
        Ok((Template::of(&piece), Some(Template::of(&head))))
    }

    /// Request that subscribes, after an ID if there is one.
    pub fn of_subscribe(arguments: &Arguments, id: &str) -> Self {
        let path = arguments.text("subscribe", "/subscribe");
        let headers = header_lines(arguments.text("subscribe-headers", ""));
        let id = if id.is_empty() { "".into() } else { format!("Last-Event-ID: {id}\r\n") };
        Template::of(&format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n{headers}{id}\r\n"
        ))
    }

    /// Number of events of a request.
    pub fn events(&self) -> usize {
        self.marks.len()
    }

    /// Fills in a pipeline and the marks, and returns the request.
    pub fn fill(&mut self, pipeline: u32, mut mark: impl FnMut(usize) -> Mark) -> &[u8] {
        let name = format!("p_{pipeline:06}");
        for at in &self.names {
            self.bytes[*at..*at + NAME_LENGTH].copy_from_slice(name.as_bytes());
        }
        for (index, at) in self.marks.iter().enumerate() {
            mark(index).write(&mut self.bytes[*at..*at + LENGTH]);
        }
        &self.bytes
    }
}

/// Lines of headers that are given with `|` between them.
fn header_lines(text: &str) -> String {
    text.split('|').filter(|line| !line.is_empty()).map(|line| format!("{line}\r\n")).collect()
}
