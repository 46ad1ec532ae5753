//! Dashboard, alerts and documentation match the metrics.

use std::path::Path;

use anyhow::{Result, ensure};
use parlour_tests::World;

/// Every expression in a dashboard.
fn expressions(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            if let Some(serde_json::Value::String(expression)) = members.get("expr") {
                found.push(expression.clone());
            }
            members.values().for_each(|member| expressions(member, found));
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

/// The metrics' names in an expression, and its conditions of the form `name="word"`.
fn asked_for(expression: &str) -> (Vec<&str>, Vec<String>) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = expression.split(|c| !is_word(c));
    let names = names.filter(|name| name.starts_with("parlour_") || name.starts_with("process_")).collect();
    let mut labels = Vec::new();
    let mut rest = expression;
    while let Some((before, after)) = rest.split_once("=\"") {
        let (value, after) = after.split_once('"').unwrap_or((after, ""));
        let name = before.rsplit(|c| !is_word(c)).next().unwrap_or_default();
        labels.push(format!("{name}=\"{value}\""));
        rest = after;
    }
    (names, labels)
}

#[test]
fn dashboard_and_alerts_use_existing_metrics_and_the_dashboard_shows_all_of_them() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let dashboard = std::fs::read_to_string(folder.join("operations/grafana-dashboard.json"))?;
    let mut shown = Vec::new();
    expressions(&serde_json::from_str(&dashboard)?, &mut shown);
    let alerts = std::fs::read_to_string(folder.join("operations/alerts.yml"))?;
    let alerted: Vec<String> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr:"))
        .map(|expression| expression.trim().to_owned())
        .collect();
    ensure!(shown.len() > 20 && alerted.len() > 10, "{} and {}", shown.len(), alerted.len());
    ensure!(
        alerts.matches("- alert:").count() == alerted.len(),
        "an alert without an expression of one line"
    );

    let world = World::with().metrics().start()?;
    let scrape = world.scrape()?;
    for expression in shown.iter().chain(&alerted) {
        let (names, labels) = asked_for(expression);
        ensure!(!names.is_empty() || expression.contains("up{"), "nothing of ours: {expression}");
        for name in names {
            ensure!(scrape.names().any(|known| known == name), "no {name}: {expression}");
        }
        for label in labels.iter().filter(|label| !label.starts_with("job=")) {
            ensure!(scrape.text.contains(label), "no {label}: {expression}");
        }
    }
    let documentation = std::fs::read_to_string(folder.join("operations.md"))?;
    let shown = shown.join("\n");
    for name in scrape.names() {
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        let documented = histogram.unwrap_or(name);
        ensure!(documentation.contains(&format!("`{documented}`")), "{name} is not in docs/operations.md");
        let parts = if histogram.is_some() { ["_bucket", "_sum", "_count"].as_slice() } else { &[""] };
        let asked = asked_for(&shown).0;
        let is_shown = parts.iter().any(|part| asked.contains(&format!("{documented}{part}").as_str()));
        ensure!(is_shown, "{name} is not in the dashboard");
    }
    Ok(())
}
