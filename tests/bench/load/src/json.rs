//! A line of JSON on standard output, with numbers and one text.

use std::io::Write;

/// Prints an object.
pub fn print(fields: &[(&str, f64)], error: Option<&str>) {
    let mut line = String::from("{");
    for (name, value) in fields {
        line += &format!("\"{name}\":{value},");
    }
    let text = error.map_or("null".into(), quote);
    line += &format!("\"error\":{text}}}");
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("standard output is open");
}

fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if (c as u32) < 32 => quoted += &format!("\\u{:04x}", c as u32),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
