//! Check of every delivery: all subscribers of a pipeline receive the same events in the
//! same order, each once, and none is missing.

use crate::marks::Mark;

/// Order of the events of one pipeline, as the first subscriber that had them received them.
#[derive(Default)]
struct Order {
    identities: Vec<u64>,
    /// For each publisher, the number after that of its newest event.
    next: Vec<u32>,
}

/// The orders of all pipelines.
pub struct Check {
    orders: Vec<Order>,
}

impl Check {
    /// Check of so many pipelines.
    pub fn new(pipelines: u32) -> Self {
        Check { orders: (0..pipelines).map(|_| Order::default()).collect() }
    }

    /// Takes the delivery at a position of a subscriber's stream.
    pub fn take(&mut self, pipeline: u32, position: usize, mark: &Mark) -> Result<(), String> {
        if mark.pipeline != pipeline {
            return Err(format!("A subscriber of {pipeline} received {mark:?}"));
        }
        let order = &mut self.orders[pipeline as usize];
        if let Some(expected) = order.identities.get(position) {
            if *expected == mark.identity() {
                return Ok(());
            }
            let (publisher, number) = (expected >> 32, expected & 0xffff_ffff);
            return Err(format!(
                "Event {position} of pipeline {pipeline} is {mark:?}, and to another subscriber \
                 it was number {number} of publisher {publisher}"
            ));
        }
        let publisher = mark.publisher as usize;
        if order.next.len() <= publisher {
            order.next.resize(publisher + 1, 0);
        }
        if mark.number < order.next[publisher] {
            return Err(format!("{mark:?} came twice, or after a later one"));
        }
        order.next[publisher] = mark.number + 1;
        order.identities.push(mark.identity());
        Ok(())
    }

    /// Asserts that no event is missing.
    pub fn complete(&self, accepted: &[u32]) -> Result<(), String> {
        for (pipeline, order) in self.orders.iter().enumerate() {
            let (received, published) = (order.identities.len(), accepted[pipeline] as usize);
            if received != published {
                return Err(format!(
                    "{published} events of pipeline {pipeline} were accepted, and {received} \
                     received"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(number: u32) -> Mark {
        Mark { pipeline: 0, publisher: 3, number, time: 0 }
    }

    #[test]
    fn refuses_holes_doubles_and_another_order() {
        let mut check = Check::new(1);
        for (position, number) in [1, 2, 4].iter().enumerate() {
            check.take(0, position, &mark(*number)).unwrap();
        }
        assert!(check.take(0, 3, &mark(4)).is_err());
        assert!(check.take(0, 3, &mark(3)).is_err());
        assert!(check.take(0, 1, &mark(4)).is_err());
        assert!(check.take(0, 1, &mark(2)).is_ok());
        assert!(check.complete(&[4]).is_err());
        assert!(check.complete(&[3]).is_ok());
    }
}
