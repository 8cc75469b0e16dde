//! Publishers whose one request each stays open: its body is the events, each a chunk.

use super::Publishers;
use crate::marks::Mark;
use crate::template::Template;

/// Last chunk of a body.
const END: &[u8] = b"0\r\n\r\n";

/// Requests that stay open.
pub struct Appends {
    /// Head of a request.
    pub head: Template,
    /// Whether the heads were sent, and the ends are not.
    pub are_open: bool,
}

impl Publishers {
    /// Sends the heads of all requests. Each publisher has a pipeline of its own.
    pub(super) fn open_appends(&mut self) -> Result<(), String> {
        let Some(mut appends) = self.appends.take() else { return Ok(()) };
        if !appends.are_open {
            appends.are_open = true;
            for index in 0..self.list.len() {
                let none = |_| Mark { pipeline: 0, publisher: 0, number: 0, time: 0 };
                let head = appends.head.fill(index as u32, none).to_vec();
                self.write(index, &head)?;
            }
        }
        self.appends = Some(appends);
        Ok(())
    }

    /// Sends what is due at a time, each piece in the request of the pipeline whose turn it is.
    pub(super) fn append(&mut self, time: u64) -> Result<(), String> {
        let pipeline = self.next_pipeline;
        self.next_pipeline = (pipeline + 1) % self.accepted.len() as u32;
        let index = pipeline as usize;
        let piece = self.fill(index, pipeline, time).to_vec();
        self.write(index, &piece)?;
        // The answer at the end tells how many were stored.
        self.accepted[index] += self.template.events() as u32;
        if self.answers.recording {
            self.answers.count += 1;
        }
        Ok(())
    }

    /// Ends the requests, whose answers are in flight from now on.
    pub(super) fn end_appends(&mut self) -> Result<(), String> {
        let Some(appends) = &mut self.appends else { return Ok(()) };
        if !std::mem::take(&mut appends.are_open) {
            return Ok(());
        }
        for index in 0..self.list.len() {
            self.write(index, END)?;
            self.list[index].in_flight = Some((0, index as u32));
            self.in_flight += 1;
        }
        Ok(())
    }

    /// Checks that all events of a request are stored, by its answer.
    pub(super) fn check_append(&self, index: usize, body: &str) -> Result<(), String> {
        let expected = format!("\"accepted\":{},", self.accepted[index]);
        if body.contains(&expected) {
            return Ok(());
        }
        Err(format!("An append of {} events was answered: {body}", self.accepted[index]))
    }
}
