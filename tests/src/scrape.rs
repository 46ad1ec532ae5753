//! Does what an operator's programs do: requests the metrics by HTTP and reads the numbers.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context as _, Result, ensure};

use crate::lines::DEADLINE;

/// An HTTP response.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub head: String,
    /// The body.
    pub body: String,
}

/// Requests a path.
pub fn get(server: SocketAddr, path: &str) -> Result<Answer> {
    ask(server, format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
}

/// Sends a request unchanged, and reads until the server closes.
pub fn ask(server: SocketAddr, request: &[u8]) -> Result<Answer> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(request)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes)?;
    let (head, body) = text.split_once("\r\n\r\n").with_context(|| format!("no answer: {text:?}"))?;
    let (first, head) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok()).context("a status")?;
    Ok(Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
}

/// All metrics of a server at one moment.
#[derive(Debug)]
pub struct Scrape {
    /// The response's text.
    pub text: String,
    values: BTreeMap<String, f64>,
}

impl Scrape {
    /// Requests the metrics, and checks the format of each line.
    pub fn of(server: SocketAddr) -> Result<Self> {
        let answer = get(server, "/metrics")?;
        ensure!(answer.status == 200, "{answer:?}");
        ensure!(
            answer.head.contains("content-type: application/openmetrics-text; version=1.0.0"),
            "{answer:?}"
        );
        let text = answer.body;
        ensure!(text.ends_with("# EOF\n"), "{text}");
        let mut values = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').with_context(|| line.to_owned())?;
            let value = value.parse().with_context(|| line.to_owned())?;
            ensure!(values.insert(series.to_owned(), value).is_none(), "twice: {line}");
        }
        Ok(Self { text, values })
    }

    /// The value of a series, written `name{label="word"}`.
    pub fn get(&self, series: &str) -> Result<f64> {
        self.values.get(series).copied().with_context(|| format!("no {series} in\n{}", self.text))
    }

    /// The names of all metrics, without their labels.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(|series| series.split_once('{').map_or(series.as_str(), |(name, _)| name))
    }

    /// All values of labels.
    pub fn label_values(&self) -> impl Iterator<Item = &str> {
        self.values.keys().flat_map(|series| series.split('"').skip(1).step_by(2))
    }
}
