//! Arguments in the form `--name value`.

use std::collections::HashMap;
use std::str::FromStr;

/// The arguments of a mode, by name.
pub struct Arguments(HashMap<String, String>);

impl Arguments {
    /// Reads pairs of `--name` and value.
    pub fn read(mut given: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut values = HashMap::new();
        while let Some(name) = given.next() {
            let key = name.strip_prefix("--").ok_or(format!("Not an option: {name}"))?;
            let value = given.next().ok_or(format!("{name} needs a value"))?;
            values.insert(key.to_string(), value);
        }
        Ok(Arguments(values))
    }

    /// Text of an option, or its default.
    pub fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.0.get(name).map_or(default, |value| value.as_str())
    }

    /// Ports of the server, at least one.
    pub fn ports(&self) -> Result<Vec<u16>, String> {
        let ports = self.numbers("ports")?;
        if ports.is_empty() {
            Err("--ports is needed".into())
        } else {
            Ok(ports)
        }
    }

    /// Number of an option, or its default.
    pub fn number<T: FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        match self.0.get(name) {
            None => Ok(default),
            Some(value) => value.parse().map_err(|_| format!("--{name} {value} is not a number")),
        }
    }

    /// Numbers of an option, with commas between them; none if it is not given.
    pub fn numbers<T: FromStr>(&self, name: &str) -> Result<Vec<T>, String> {
        let parts = self.text(name, "").split(',').filter(|part| !part.is_empty());
        parts.map(|part| part.parse().map_err(|_| format!("--{name} {part}"))).collect()
    }
}
