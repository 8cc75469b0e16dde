//! One loop over the connections of subscribers and publishers.

use crate::poller::{Poller, Ready};
use crate::publisher::Publishers;
use crate::subscriber::Subscribers;
use crate::system::Clock;
use crate::template::Template;

/// Token of the publishers; those of subscribers are their numbers.
const PUBLISHERS: u64 = u64::MAX;

/// Number of subscribers that are read before publishers get their turn.
const SUBSCRIBERS_AT_ONCE: usize = 32;

/// Subscribers and publishers of one server.
pub struct Session {
    poller: Poller,
    ready: Vec<Ready>,
    pub subscribers: Subscribers,
    pub publishers: Publishers,
    pub clock: Clock,
    /// Time without progress after which an event counts as lost, in nanoseconds.
    pub patience: u64,
}

impl Session {
    /// Session without subscribers yet.
    pub fn new(subscribers: Subscribers, publishers: Publishers) -> Result<Self, String> {
        let poller = Poller::new(SUBSCRIBERS_AT_ONCE).map_err(|error| error.to_string())?;
        let added = poller.add(publishers.fd(), PUBLISHERS, false);
        added.map_err(|error| error.to_string())?;
        let clock = Clock::start();
        Ok(Session {
            poller,
            ready: Vec::new(),
            subscribers,
            publishers,
            clock,
            patience: 8_000_000_000,
        })
    }

    /// Handles what is ready, and waits for it at most so many milliseconds.
    pub fn step(&mut self, timeout_ms: i32) -> Result<(), String> {
        let mut ready = std::mem::take(&mut self.ready);
        self.poller.wait(timeout_ms, &mut ready).map_err(|error| error.to_string())?;
        let now = || self.clock.now();
        for each in &ready {
            if each.token != PUBLISHERS {
                let index = each.token as usize;
                self.subscribers.proceed(&self.poller, index, each.writable, now)?;
            }
        }
        self.ready = ready;
        self.publishers.proceed(now)
    }

    /// Runs for a time, in seconds.
    pub fn run(&mut self, seconds: f64) -> Result<(), String> {
        let end = self.clock.now() + (seconds * 1e9) as u64;
        loop {
            let left = end.saturating_sub(self.clock.now());
            if left == 0 {
                return Ok(());
            }
            self.step((left / 1_000_000).clamp(1, 100) as i32)?;
        }
    }

    /// Runs until a condition holds, as long as there is progress.
    pub fn run_until(
        &mut self,
        what: &str,
        mut done: impl FnMut(&mut Session) -> bool,
    ) -> Result<(), String> {
        let mut progress = (0, 0, 0);
        let mut since = self.clock.now();
        while !done(self) {
            self.step(10)?;
            let it = (self.subscribers.total, self.subscribers.ready, self.publishers.in_flight);
            let now = self.clock.now();
            if it != progress {
                (progress, since) = (it, now);
            } else if now - since > self.patience {
                let list = &self.subscribers.list;
                let fewest = list.iter().map(|subscriber| subscriber.position).min();
                return Err(format!(
                    "Waited in vain until {what}: {} deliveries, {} of {} subscribers ready, \
                     {} publishes in flight, fewest events of a subscriber: {}",
                    progress.0,
                    progress.1,
                    list.len(),
                    progress.2,
                    fewest.unwrap_or(0)
                ));
            }
        }
        Ok(())
    }

    /// Connects subscribers, to one port after the other, with so many at most that wait
    /// for the head of their stream.
    ///
    /// `request` returns the request and the first position of each.
    pub fn connect(
        &mut self,
        ports: &[u16],
        count: usize,
        window: usize,
        mut request: impl FnMut(usize) -> (Template, u32, usize),
    ) -> Result<(), String> {
        self.run_until("all subscribers are connected", |session| {
            let (opened, ready) = (session.subscribers.list.len(), session.subscribers.ready);
            for index in opened..count.min(ready + window) {
                let port = ports[index % ports.len()];
                let (mut template, pipeline, position) = request(index);
                let poller = &session.poller;
                let result =
                    session.subscribers.open(poller, port, &mut template, pipeline, position);
                if let Err(error) = result {
                    eprintln!("Cannot connect subscriber {index}: {error}");
                    std::process::exit(1);
                }
            }
            ready == count
        })
    }

    /// Publishes so many requests, and waits until every event has reached every subscriber.
    pub fn publish(&mut self, requests: u64) -> Result<(), String> {
        let now = self.clock.now();
        self.publishers.start(requests, now)?;
        self.deliver()
    }

    fn deliver(&mut self) -> Result<(), String> {
        self.run_until("all publishes are answered", |session| {
            session.publishers.left == 0 && session.publishers.in_flight == 0
        })?;
        let accepted = &self.publishers.accepted;
        let list = &self.subscribers.list;
        let expected = list.iter().map(|each| accepted[each.pipeline() as usize] as u64).sum();
        self.run_until("all events are delivered", |session| session.subscribers.total >= expected)
    }

    /// Stops publishing, waits until every event has reached every subscriber, and checks
    /// that none is missing and none too many.
    pub fn finish(&mut self) -> Result<(), String> {
        self.publishers.stop()?;
        self.deliver()?;
        if self.subscribers.list.is_empty() {
            return Ok(());
        }
        let accepted = self.publishers.accepted.clone();
        // What comes twice may come late.
        self.run(0.2)?;
        self.subscribers.check.complete(&accepted)?;
        for (index, each) in self.subscribers.list.iter().enumerate() {
            let expected = accepted[each.pipeline() as usize] as usize;
            if each.position != expected {
                let received = each.position;
                return Err(format!("Subscriber {index} has {received} events of {expected}"));
            }
        }
        Ok(())
    }
}
