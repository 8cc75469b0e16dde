//! Opens subscribers, publishes for a time, and measures.

use crate::arguments::Arguments;
use crate::json;
use crate::publisher::Publishers;
use crate::session::Session;
use crate::subscriber::Subscribers;
use crate::system::{cpu_seconds, machine_seconds, resident_bytes};
use crate::template::Template;

/// Runs the mode, and prints one line of results.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    let ports = arguments.ports()?;
    let count: usize = arguments.number("subscribers", 0)?;
    let pipelines: u32 = arguments.number("pipelines", 1)?;
    let rate: f64 = arguments.number("rate", 0.0)?;
    let seconds: f64 = arguments.number("seconds", 2.0)?;
    let pids = arguments.numbers::<u32>("pids")?;
    let own = [std::process::id()];

    let publish = Template::of_publish(arguments)?;
    let subscribe = Template::of_subscribe(arguments, "");
    let publishers = arguments.number("publishers", 1)?;
    let resident = resident_bytes(&pids);
    let mut session = Session::new(
        Subscribers::new(pipelines, arguments.text("ready", ""), false),
        Publishers::connect(&ports, publishers, pipelines, publish, rate)?,
    )?;
    session.patience = (arguments.number("patience", 8.0)? * 1e9) as u64;
    let window = arguments.number("window", 64)?;
    session
        .connect(&ports, count, window, |index| (subscribe.clone(), index as u32 % pipelines, 0))?;
    let connected = session.clock.now();
    session.run(arguments.number("settle", 0.3)?)?;

    // Either a number of requests after some others, or as many as a time allows.
    let requests: u64 = arguments.number("requests", 0)?;
    if requests > 0 {
        session.publish(arguments.number("earlier", 0)?)?;
    } else {
        let now = session.clock.now();
        session.publishers.start(if publishers == 0 { 0 } else { u64::MAX }, now)?;
        session.run(arguments.number("warmup", 1.0)?)?;
    }

    session.subscribers.deliveries.recording = true;
    session.publishers.answers.recording = true;
    let times = || [machine_seconds(), cpu_seconds(&pids), cpu_seconds(&own)];
    let (start, cpu) = (session.clock.now(), times());
    let measured = if requests > 0 { session.publish(requests) } else { session.run(seconds) };
    session.subscribers.deliveries.recording = false;
    session.publishers.answers.recording = false;
    let (end, cpu_end) = (session.clock.now(), times());
    let resident_end = resident_bytes(&pids);

    let error = measured.and_then(|()| session.finish()).err();
    let elapsed = (end - start) as f64 / 1e9;
    let deliveries = &session.subscribers.deliveries;
    let answers = &session.publishers.answers;
    let [machine, server, load] = [0, 1, 2].map(|index| (cpu_end[index] - cpu[index]) / elapsed);
    let per_second = |count: u64| count as f64 / elapsed;
    json::print(
        &[
            ("seconds", elapsed),
            ("deliveries", deliveries.count as f64),
            ("deliveriesPerSecond", per_second(deliveries.count)),
            ("eventsPerRead", deliveries.count as f64 / deliveries.reads.max(1) as f64),
            ("publishes", answers.count as f64),
            ("publishesPerSecond", per_second(answers.count)),
            ("eventsPerSecond", per_second(answers.count * session.publishers.batch() as u64)),
            ("publishP50", answers.latency.percentile(0.5)),
            ("publishP99", answers.latency.percentile(0.99)),
            ("deliveryP50", deliveries.latency.percentile(0.5)),
            ("deliveryP99", deliveries.latency.percentile(0.99)),
            ("serverCpu", server),
            ("loadCpu", load),
            ("otherCpu", machine - server - load),
            ("connectMs", connected as f64 / 1e6),
            ("residentBefore", resident),
            ("residentAfter", resident_end),
            ("accepted", session.publishers.accepted.iter().sum::<u32>() as f64),
            ("checked", session.subscribers.total as f64),
        ],
        error.as_deref(),
    );
    Ok(())
}
