//! Load generator and trivial server of the benchmark: one thread, one `epoll`.
//!
//! `load drive` opens subscribers, publishes, and checks every delivery. `load join` lets
//! subscribers connect at once, and come back. `load serve` is the server that shows how
//! much `load drive` can take. Each prints lines of JSON.

mod arguments;
mod check;
mod connection;
mod decoder;
mod drive;
mod histogram;
mod join;
mod json;
mod marks;
mod poller;
mod publisher;
mod serve;
mod session;
mod subscriber;
mod system;
mod template;

use arguments::Arguments;

fn main() {
    let mut given = std::env::args().skip(1);
    let mode = given.next().unwrap_or_default();
    let result = Arguments::read(given).and_then(|arguments| {
        system::raise_file_limit();
        match mode.as_str() {
            "drive" => drive::run(&arguments),
            "join" => join::run(&arguments),
            "serve" => serve::run(&arguments),
            _ => Err("Usage: load drive|join|serve [--name value]...".into()),
        }
    });
    if let Err(error) = result {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
