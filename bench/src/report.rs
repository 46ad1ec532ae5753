//! The table, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// What a scenario came to: medians over the repetitions, with the spread of each.
pub(crate) struct Row {
    /// Its name.
    pub(crate) name: &'static str,
    /// What is measured.
    pub(crate) unit: &'static str,
    /// Ours, a value for each repetition.
    pub(crate) ours: Vec<f64>,
    /// The reference's.
    pub(crate) bare: Vec<f64>,
    /// What the ratio should be at most.
    pub(crate) goal: Option<f64>,
}

/// The middle one, or the upper of the two in the middle.
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
    fn ratio(&self) -> f64 {
        median(&self.ours) / median(&self.bare)
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name, "ours": median(&self.ours), "bare": median(&self.bare),
            "ratio": self.ratio(), "unit": self.unit, "goal": self.goal,
            "ours_all": self.ours, "bare_all": self.bare,
        })
    }
}

/// How a cost grows with something that it should not depend on.
pub(crate) struct Growth {
    name: &'static str,
    unit: &'static str,
    /// What it should be, in words.
    goal: &'static str,
    /// The cost at each size.
    values: Vec<(String, f64)>,
}

impl Growth {
    /// Nothing is measured yet.
    pub(crate) fn new(name: &'static str, unit: &'static str, goal: &'static str) -> Self {
        Self { name, unit, goal, values: Vec::new() }
    }

    /// Adds the cost at one size.
    pub(crate) fn add(&mut self, size: &str, cost: f64) {
        eprintln!("{}: {size}: {cost:.2} {}", self.name, self.unit);
        self.values.push((size.to_owned(), cost));
    }

    /// The last cost as times the first.
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
        out.push_str("\n| scenario | unit | ours | bare | times bare | goal |\n");
        out.push_str("| --- | --- | --- | --- | --- | --- |\n");
    }
    for row in rows {
        let goal = row.goal.map(|goal| format!("{goal}")).unwrap_or_default();
        // Writing into a String cannot fail.
        let _ = writeln!(
            out,
            "| {} | {} | {:.2}{} | {:.2}{} | {:.2} | {goal} |",
            row.name,
            row.unit,
            median(&row.ours),
            spread(&row.ours),
            median(&row.bare),
            spread(&row.bare),
            row.ratio()
        );
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

/// The same for programs.
pub(crate) fn document(rows: &[Row], growths: &[Growth], machine: &str) -> Value {
    json!({
        "machine": machine,
        "scenarios": rows.iter().map(Row::json).collect::<Vec<_>>(),
        "growth": growths.iter().map(Growth::json).collect::<Vec<_>>(),
    })
}
