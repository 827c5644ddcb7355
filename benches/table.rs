//! The rows of the table and how they are printed.

use std::fmt::Write as _;

/// One line: what was measured, what came out, and what was promised.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) measured: String,
    /// Empty where nothing is promised: a peer, or a figure for comparison.
    pub(crate) budget: String,
    pub(crate) holds: bool,
}

impl Row {
    /// A figure with its budget, an upper bound.
    pub(crate) fn at_most(what: impl Into<String>, measured: f64, budget: f64, unit: &str) -> Self {
        Self {
            what: what.into(),
            measured: format!("{}{unit}", figure(measured)),
            budget: format!("at most {}{unit}", figure(budget)),
            holds: measured <= budget,
        }
    }

    /// A figure with its budget, a lower bound.
    pub(crate) fn at_least(what: impl Into<String>, measured: f64, budget: f64, unit: &str) -> Self {
        Self {
            what: what.into(),
            measured: format!("{}{unit}", figure(measured)),
            budget: format!("at least {}{unit}", figure(budget)),
            holds: measured >= budget,
        }
    }

    /// A figure for comparison.
    pub(crate) fn plain(what: impl Into<String>, measured: f64, unit: &str) -> Self {
        let measured = format!("{}{unit}", figure(measured));
        Self { what: what.into(), measured, budget: String::new(), holds: true }
    }
}

/// Three figures that matter, thousands in groups.
fn figure(value: f64) -> String {
    if value.abs() < 100.0 && value.fract() != 0.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A Markdown table under a heading.
pub(crate) fn markdown(heading: &str, rows: &[Row]) -> String {
    let mut text = format!("### {heading}\n\n| what | measured | budget | |\n| --- | --- | --- | --- |\n");
    for row in rows {
        let verdict = if row.budget.is_empty() {
            ""
        } else if row.holds {
            "holds"
        } else {
            "**exceeded**"
        };
        let _ = writeln!(text, "| {} | {} | {} | {verdict} |", row.what, row.measured, row.budget);
    }
    text
}
