//! The report, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// The result of one measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    /// The value in the scenario's unit.
    pub(crate) cost: f64,
    /// The 99th percentile of the time of a message, in milliseconds, if it was measured as well.
    pub(crate) p99: Option<f64>,
}

impl From<f64> for Figures {
    fn from(cost: f64) -> Self {
        Self { cost, p99: None }
    }
}

/// The results of one scenario: medians over the repetitions, with the spread of each.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The number of messages under way, in total.
    pub(crate) window: &'static str,
    /// The quantity and its unit.
    pub(crate) unit: &'static str,
    /// The server's value for each repetition.
    pub(crate) ours: Vec<Figures>,
    /// The reference's values.
    pub(crate) bare: Vec<Figures>,
    /// The values of other programs, by name.
    pub(crate) peers: Vec<(&'static str, Vec<Figures>)>,
    /// The highest acceptable ratio of the server to the reference.
    pub(crate) goal: Option<f64>,
}

fn costs(figures: &[Figures]) -> Vec<f64> {
    figures.iter().map(|figures| figures.cost).collect()
}

/// The median of the 99th percentiles, if they were measured.
fn p99(figures: &[Figures]) -> Option<f64> {
    let measured: Vec<f64> = figures.iter().filter_map(|figures| figures.p99).collect();
    (!measured.is_empty()).then(|| median(&measured))
}

fn in_words(p99: Option<f64>) -> String {
    p99.map(|millis| format!("{millis:.1}")).unwrap_or_default()
}

/// The middle value, or the upper of the two in the middle.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn spread(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if values.len() < 2 { String::new() } else { format!(" ({least:.2}-{most:.2})") }
}

impl Row {
    /// A median divided by the reference's.
    fn times_bare(&self, figures: &[Figures]) -> f64 {
        median(&costs(figures)) / median(&costs(&self.bare))
    }

    fn json(&self) -> Value {
        let figures = |figures: &[Figures]| {
            let costs = costs(figures);
            json!({"median": median(&costs), "all": costs, "p99_ms": p99(figures)})
        };
        let peers: Vec<Value> = self
            .peers
            .iter()
            .map(|(name, all)| json!({"name": name, "ratio": self.times_bare(all), "figures": figures(all)}))
            .collect();
        json!({
            "name": self.name, "in_flight": self.window, "unit": self.unit, "goal": self.goal,
            "ratio": self.times_bare(&self.ours),
            "ours": figures(&self.ours), "bare": figures(&self.bare), "peers": peers,
        })
    }

    /// A line of the table of other programs.
    fn line(&self, program: &str, figures: &[Figures]) -> String {
        let costs = costs(figures);
        format!(
            "| {} | {program} | {} | {:.2}{} | {:.2} | {} |\n",
            self.name,
            self.window,
            median(&costs),
            spread(&costs),
            self.times_bare(figures),
            in_words(p99(figures))
        )
    }
}

/// The growth of a cost with something that should not affect it.
pub(crate) struct Growth {
    name: &'static str,
    unit: &'static str,
    /// The expected result, in words.
    goal: &'static str,
    /// Pairs of a size and the cost at that size.
    values: Vec<(String, f64)>,
}

impl Growth {
    /// A growth without measurements.
    pub(crate) fn new(name: &'static str, unit: &'static str, goal: &'static str) -> Self {
        Self { name, unit, goal, values: Vec::new() }
    }

    /// Adds the cost at one size.
    pub(crate) fn add(&mut self, size: &str, cost: f64) {
        eprintln!("{}: {size}: {cost:.2} {}", self.name, self.unit);
        self.values.push((size.to_owned(), cost));
    }

    /// The last cost divided by the first.
    fn ratio(&self) -> f64 {
        match (self.values.first(), self.values.last()) {
            (Some((_, first)), Some((_, last))) => last / first,
            _ => f64::NAN,
        }
    }

    fn json(&self) -> Value {
        let values: Vec<Value> =
            self.values.iter().map(|(size, cost)| json!({"size": size, "cost": cost})).collect();
        json!({"name": self.name, "unit": self.unit, "goal": self.goal, "values": values, "ratio": self.ratio()})
    }
}

/// The tables in Markdown.
pub(crate) fn markdown(rows: &[Row], growths: &[Growth], machine: &str) -> String {
    let mut out = format!("{machine}\n");
    if !rows.is_empty() {
        out.push_str(
            "\n| scenario | in flight | unit | ours | bare | times bare | goal | p99 in ms: ours | bare |\n",
        );
        out.push_str("| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
    }
    for row in rows {
        let goal = row.goal.map(|goal| format!("{goal}")).unwrap_or_default();
        let (ours, bare) = (costs(&row.ours), costs(&row.bare));
        // Writing into a String cannot fail.
        let _ = writeln!(
            out,
            "| {} | {} | {} | {:.2}{} | {:.2}{} | {:.2} | {goal} | {} | {} |",
            row.name,
            row.window,
            row.unit,
            median(&ours),
            spread(&ours),
            median(&bare),
            spread(&bare),
            row.times_bare(&row.ours),
            in_words(p99(&row.ours)),
            in_words(p99(&row.bare))
        );
    }
    if rows.iter().any(|row| !row.peers.is_empty()) {
        out.push_str(
            "\n| scenario | program | in flight | CPU s per million deliveries | times bare | p99 in ms |\n",
        );
        out.push_str("| --- | --- | --- | --- | --- | --- |\n");
    }
    for row in rows.iter().filter(|row| !row.peers.is_empty()) {
        let own = [("bare", row.bare.as_slice()), ("parlour-server", &row.ours)];
        let others = row.peers.iter().map(|(name, figures)| (*name, figures.as_slice()));
        own.into_iter().chain(others).for_each(|(name, figures)| out.push_str(&row.line(name, figures)));
    }
    if !growths.is_empty() {
        out.push_str("\n| cost | unit | at each size | last times first | goal |\n");
        out.push_str("| --- | --- | --- | --- | --- |\n");
    }
    for growth in growths {
        let values: Vec<String> =
            growth.values.iter().map(|(size, cost)| format!("{size}: {cost:.2}")).collect();
        let Growth { name, unit, goal, .. } = growth;
        let _ = writeln!(out, "| {name} | {unit} | {} | {:.2} | {goal} |", values.join("; "), growth.ratio());
    }
    out
}

/// The report in JSON.
pub(crate) fn document(rows: &[Row], growths: &[Growth], machine: &str) -> Value {
    json!({
        "machine": machine,
        "scenarios": rows.iter().map(Row::json).collect::<Vec<_>>(),
        "growth": growths.iter().map(Growth::json).collect::<Vec<_>>(),
    })
}
