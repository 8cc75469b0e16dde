//! Subscribers that connect at once, each to receive stored events, and come back for more.

use crate::arguments::Arguments;
use crate::histogram::Histogram;
use crate::json;
use crate::publisher::Publishers;
use crate::session::Session;
use crate::subscriber::Subscribers;
use crate::system::cpu_seconds;
use crate::template::Template;

/// Times of subscribers that connect at once.
struct Join {
    /// Time until the last of them had all its events, in milliseconds.
    total: f64,
    p50: f64,
    p99: f64,
    /// CPU time of the server for each of them, in microseconds.
    cpu: f64,
    /// Bytes of all streams.
    bytes: u64,
    /// Last ID of each.
    ids: Vec<String>,
}

/// Runs the mode, and prints one line of results.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    let events: u64 = arguments.number("events", 100)?;
    let mut session = Session::new(
        Subscribers::new(1, "", true),
        Publishers::connect(&arguments.ports()?, 1, 1, Template::of_publish(arguments)?, 0.0)?,
    )?;
    let requests = events / session.publishers.batch() as u64;

    publish(&mut session, requests)?;
    let first = join(&mut session, arguments, 0, &[])?;
    session.subscribers.disconnect();
    session.run(arguments.number("pause", 1.0)?)?;
    publish(&mut session, requests)?;
    let second = join(&mut session, arguments, events as usize, &first.ids)?;
    json::print(
        &[
            ("joinMs", first.total),
            ("joinP50", first.p50),
            ("joinP99", first.p99),
            ("joinCpu", first.cpu),
            ("joinBytes", first.bytes as f64),
            ("backMs", second.total),
            ("backP50", second.p50),
            ("backP99", second.p99),
            ("backCpu", second.cpu),
            ("backBytes", second.bytes as f64),
        ],
        None,
    );
    Ok(())
}

fn publish(session: &mut Session, requests: u64) -> Result<(), String> {
    let now = session.clock.now();
    session.publishers.start(requests, now)?;
    session.run_until("the events are published", |session| {
        session.publishers.left == 0 && session.publishers.in_flight == 0
    })
}

/// Connects all, and waits until each has the events that are stored after its position.
fn join(
    session: &mut Session,
    arguments: &Arguments,
    position: usize,
    ids: &[String],
) -> Result<Join, String> {
    let ports = arguments.ports()?;
    let count: usize = arguments.number("subscribers", 100)?;
    let window: usize = arguments.number("window", 500)?;
    let pids = arguments.numbers::<u32>("pids")?;
    let end = session.publishers.accepted[0] as usize;
    let (start, cpu) = (session.clock.now(), cpu_seconds(&pids));
    session.subscribers.target = end;
    session.connect(&ports, count, window, |index| {
        let id = ids.get(index).map_or("", |id| id.as_str());
        (Template::of_subscribe(arguments, id), 0, position)
    })?;
    session
        .run_until("all events are delivered", |session| session.subscribers.completed == count)?;
    let cpu = cpu_seconds(&pids) - cpu;
    let mut times = Histogram::new();
    let list = &session.subscribers.list;
    list.iter().for_each(|each| times.add(each.complete_at.unwrap_or(start) - start));
    Ok(Join {
        total: times.percentile(1.0),
        p50: times.percentile(0.5),
        p99: times.percentile(0.99),
        cpu: cpu * 1e6 / count as f64,
        bytes: list.iter().map(|each| each.bytes).sum(),
        ids: list.iter().map(|each| each.last_id().unwrap_or_default()).collect(),
    })
}
