//! The results of checks.

use std::io::{self, Write};

use serde::Serialize;

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The thing that was checked, in a word.
    pub what: &'static str,
    /// The result.
    #[serde(flatten)]
    pub state: State,
}

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum State {
    /// It is as it should be.
    Well { detail: String },
    /// It needs the operator's attention.
    Wrong { problem: String, fix: String },
    /// It was not checked.
    NotChecked { why: String },
}

impl Finding {
    /// A good result.
    pub fn well(what: &'static str, detail: impl Into<String>) -> Self {
        Self { what, state: State::Well { detail: detail.into() } }
    }

    /// A bad result, with what to do about it.
    pub fn wrong(what: &'static str, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what, state: State::Wrong { problem: problem.into(), fix: fix.into() } }
    }

    /// A check that was left out.
    pub fn not_checked(what: &'static str, why: impl Into<String>) -> Self {
        Self { what, state: State::NotChecked { why: why.into() } }
    }

    /// The finding on one line, even if a file's name contains line breaks.
    fn line(&self) -> String {
        let what = self.what;
        let line = match &self.state {
            State::Well { detail } => format!("well         {what}: {detail}"),
            State::Wrong { problem, fix } => format!("wrong        {what}: {problem}; fix: {fix}"),
            State::NotChecked { why } => format!("not checked  {what}: {why}"),
        };
        line.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
    }
}

/// The results of all checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report(Vec<Finding>);

impl Report {
    /// Adds a finding.
    pub fn add(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    /// The findings, in the order in which they were added.
    pub fn findings(&self) -> &[Finding] {
        &self.0
    }

    /// Returns true if nothing is wrong. A check that was left out is no fault.
    pub fn is_well(&self) -> bool {
        !self.0.iter().any(|finding| matches!(finding.state, State::Wrong { .. }))
    }

    /// Writes the findings: a line each for people, or one JSON object.
    pub fn write(&self, json: bool, out: &mut impl Write) -> io::Result<()> {
        for finding in &self.0 {
            let line = if json { serde_json::to_string(finding)? } else { finding.line() };
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}

impl Extend<Finding> for Report {
    fn extend<T: IntoIterator<Item = Finding>>(&mut self, findings: T) {
        self.0.extend(findings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(report: &Report, json: bool) -> String {
        let mut out = Vec::new();
        report.write(json, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_finding_is_one_line_and_one_object() {
        let mut report = Report::default();
        report.add(Finding::well("disk", "10 GiB are free"));
        report.add(Finding::not_checked("ttp", "no --ttp was given"));
        assert!(report.is_well());
        report.add(Finding::wrong("keys", "a\nb can be read by others", "chmod 600"));
        assert!(!report.is_well());
        assert_eq!(
            written(&report, false),
            "well         disk: 10 GiB are free\n\
             not checked  ttp: no --ttp was given\n\
             wrong        keys: a b can be read by others; fix: chmod 600\n"
        );
        assert_eq!(
            written(&report, true),
            "{\"what\":\"disk\",\"state\":\"well\",\"detail\":\"10 GiB are free\"}\n\
             {\"what\":\"ttp\",\"state\":\"not-checked\",\"why\":\"no --ttp was given\"}\n\
             {\"what\":\"keys\",\"state\":\"wrong\",\"problem\":\"a\\nb can be read by others\",\"fix\":\"chmod 600\"}\n"
        );
    }
}
