//! Prints the events of a stream, read by `reqwest-eventsource`, as JSON lines.
//!
//! Usage: clients LIBRARY URL. It reconnects after its last event ID until it is ended.

use futures::StreamExt;
use reqwest_eventsource::{retry::Constant, Event, EventSource};
use std::{env, time::Duration};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let url = env::args().nth(2).expect("expected a library and a URL");
    let mut source = EventSource::get(url);
    source.set_retry_policy(Box::new(Constant::new(Duration::from_millis(50), None)));
    while let Some(item) = source.next().await {
        match item {
            Ok(Event::Open) => {}
            Ok(Event::Message(message)) => println!(
                "{}",
                serde_json::json!({
                    "type": message.event,
                    "id": message.id,
                    "data": message.data,
                })
            ),
            // It reconnects by itself.
            Err(error) => eprintln!("{error}"),
        }
    }
}
