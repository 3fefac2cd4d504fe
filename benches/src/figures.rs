//! What was measured, as a table to read and as JSON to keep.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// All figures of a run, and where it ran.
///
/// As JSON: `{"machine": {…}, "figures": [{"name", "unit", "value", "reference"?: {"name", "value"}, "limit"?: {"now",
/// "aim", "of_ratio"}}]}`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Where and what.
    pub(crate) machine: Machine,
    /// The figures in the order in which they were taken.
    pub(crate) figures: Vec<Figure>,
}

/// Where a run took place, and of what.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// The day, `YYYY-MM-DD`.
    pub(crate) date: String,
    /// The processor's name.
    pub(crate) processor: String,
    /// How many of them the programs may use.
    pub(crate) cores: usize,
    /// The kernel's release.
    pub(crate) kernel: String,
    /// The major version of PostgreSQL.
    pub(crate) postgresql: u32,
    /// What `git describe` says of the checkout, if it is one.
    pub(crate) version: String,
    /// Whether the run was a short one, whose figures say little.
    pub(crate) quick: bool,
}

/// One figure, beside that of a yardstick if there is one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// What it is, as the table says it. Runs are compared by it.
    pub(crate) name: String,
    /// What it counts.
    pub(crate) unit: Unit,
    /// Ours.
    pub(crate) value: f64,
    /// The yardstick's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) reference: Option<Reference>,
    /// What it must keep.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) limit: Option<Limit>,
}

/// The same figure of a yardstick, taken in turns with ours.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reference {
    /// The program.
    pub(crate) name: String,
    /// Its figure.
    pub(crate) value: f64,
}

/// How large a figure may be.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Limit {
    /// What a run must not exceed.
    pub(crate) now: f64,
    /// What we aim at.
    pub(crate) aim: f64,
    /// Whether both are of the ratio to the yardstick, not of the figure itself.
    pub(crate) of_ratio: bool,
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// Time, of the clock or of the processor.
    Milliseconds,
    /// Memory.
    KibiBytes,
    /// Size of a file.
    Bytes,
    /// A rate.
    PerSecond,
    /// Anything else.
    Count,
}

impl Machine {
    /// All of it on one line.
    pub(crate) fn line(&self) -> String {
        format!(
            "{}, {} ({} cores), Linux {}, PostgreSQL {}, {}{}",
            self.date,
            self.processor,
            self.cores,
            self.kernel,
            self.postgresql,
            self.version,
            if self.quick { ", quick" } else { "" }
        )
    }
}

impl Figures {
    /// Adds a figure.
    pub(crate) fn add(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    /// The figure with a name.
    pub(crate) fn get(&self, name: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.name == name)
    }

    /// The figures that exceed their limits.
    pub(crate) fn exceeded(&self) -> impl Iterator<Item = &Figure> {
        self.figures.iter().filter(|figure| figure.is_exceeded())
    }

    /// The table, in Markdown, so that it can stand in a page as it is.
    pub(crate) fn table(&self) -> String {
        let mut rows =
            vec![["figure", "ours", "yardstick", "ratio", "limit", "aim"].map(str::to_owned)];
        rows.extend(self.figures.iter().map(Figure::row));
        aligned(&rows)
    }
}

impl Figure {
    /// A figure of ours.
    pub(crate) fn new(name: &str, unit: Unit, value: f64) -> Self {
        Self {
            name: name.to_owned(),
            unit,
            value,
            reference: None,
            limit: None,
        }
    }

    /// Sets it beside that of a yardstick.
    #[must_use]
    pub(crate) fn beside(mut self, name: &str, value: f64) -> Self {
        self.reference = Some(Reference {
            name: name.to_owned(),
            value,
        });
        self
    }

    /// Limits its ratio to the yardstick.
    #[must_use]
    pub(crate) fn at_most(mut self, now: f64, aim: f64) -> Self {
        self.limit = Some(Limit {
            now,
            aim,
            of_ratio: true,
        });
        self
    }

    /// Limits the figure itself.
    #[must_use]
    pub(crate) fn limited(mut self, now: f64, aim: f64) -> Self {
        self.limit = Some(Limit {
            now,
            aim,
            of_ratio: false,
        });
        self
    }

    /// How many times the yardstick it is.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let reference = self.reference.as_ref()?;
        Some(self.value / reference.value)
    }

    /// Whether it is more than it may be.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.limit.is_some_and(|limit| {
            let measured = if limit.of_ratio {
                self.ratio()
            } else {
                Some(self.value)
            };
            // What cannot be told is no pass.
            measured.is_none_or(|measured| measured.is_nan() || measured > limit.now)
        })
    }

    fn row(&self) -> [String; 6] {
        let reference = self.reference.as_ref();
        let limit = |of: fn(&Limit) -> f64| {
            self.limit.as_ref().map(|limit| {
                if limit.of_ratio {
                    times(of(limit))
                } else {
                    self.unit.show(of(limit))
                }
            })
        };
        [
            self.name.clone(),
            self.unit.show(self.value),
            reference
                .map(|it| format!("{} {}", it.name, self.unit.show(it.value)))
                .unwrap_or_default(),
            self.ratio().map(times).unwrap_or_default(),
            limit(|limit| limit.now)
                .map(|text| {
                    if self.is_exceeded() {
                        text + " exceeded"
                    } else {
                        text
                    }
                })
                .unwrap_or_default(),
            limit(|limit| limit.aim).unwrap_or_default(),
        ]
    }
}

impl Unit {
    /// A value with its unit, for people.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Milliseconds => format!("{value:.3} ms"),
            Self::KibiBytes => format!("{:.1} MiB", value / 1024.0),
            Self::Bytes => format!("{:.2} MiB", value / 1024.0 / 1024.0),
            Self::PerSecond => format!("{value:.0}/s"),
            Self::Count => format!("{value}"),
        }
    }
}

/// A ratio, for people: `1.25x`, or `1/53.7` of what would round to nothing.
pub(crate) fn times(ratio: f64) -> String {
    if ratio < 0.1 {
        format!("1/{:.1}", ratio.recip())
    } else {
        format!("{ratio:.2}x")
    }
}

/// The value in the middle, which one slow moment of the machine does not move; NaN of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len() % 2) {
        (Some(upper), 0) => {
            let lower = sorted.get(middle - 1).unwrap_or(upper);
            f64::midpoint(*lower, *upper)
        }
        (Some(value), _) => *value,
        (None, _) => f64::NAN,
    }
}

/// Rows as a Markdown table, the first as its head; columns of figures are right-aligned.
pub(crate) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if column == 0 {
                write!(text, "| {cell:<width$} ")
            } else {
                write!(text, "| {cell:>width$} ")
            };
        }
        text.push_str("|\n");
        if number == 0 {
            for (column, width) in widths.iter().enumerate() {
                let mark = if column == 0 { '-' } else { ':' };
                let _ = write!(text, "|{}{mark}", "-".repeat(width + 1));
            }
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!(median(&[]).is_nan());
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }

    #[test]
    fn a_limit_is_of_the_ratio_or_of_the_figure() {
        let figure = |value| Figure::new("x", Unit::Milliseconds, value).beside("hello", 2.0);
        assert!(!figure(6.0).at_most(3.0, 1.5).is_exceeded());
        assert!(figure(6.1).at_most(3.0, 1.5).is_exceeded());
        assert!(figure(6.0).limited(5.0, 4.0).is_exceeded());
        assert!(!figure(6.0).is_exceeded());
        assert!(
            Figure::new("no yardstick", Unit::Count, 1.0)
                .at_most(3.0, 1.5)
                .is_exceeded()
        );
    }

    #[test]
    fn a_small_ratio_is_told_by_what_it_goes_into() {
        assert_eq!(times(1.154), "1.15x");
        assert_eq!(times(0.1), "0.10x");
        assert_eq!(times(0.24 / 12.9), "1/53.8");
    }

    #[test]
    fn the_table_is_markdown() {
        let mut figures = Figures::default();
        figures.add(
            Figure::new("start: CPU", Unit::Milliseconds, 6.5)
                .beside("hello", 2.0)
                .at_most(3.0, 1.5),
        );
        figures.add(Figure::new("zip", Unit::Bytes, 4_194_304.0).limited(5_242_880.0, 0.0));
        let expected = "\
| figure     |     ours |      yardstick | ratio |          limit |      aim |
|------------|---------:|---------------:|------:|---------------:|---------:|
| start: CPU | 6.500 ms | hello 2.000 ms | 3.25x | 3.00x exceeded |    1.50x |
| zip        | 4.00 MiB |                |       |       5.00 MiB | 0.00 MiB |
";
        assert_eq!(figures.table(), expected);
    }
}
