//! What a page draws: points and how to draw them, as a value. Whoever makes a chart knows no pixels and no colours, and the
//! renderer knows no latencies.

use serde::Serialize;

/// A chart: one or several series over the same axes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chart {
    /// What it shows, in a few words.
    pub title: String,
    /// From left to right.
    pub x: Axis,
    /// From bottom to top.
    pub y: Axis,
    /// What is drawn, in the order of the legend.
    pub series: Vec<ChartSeries>,
    /// Limits that have names, as lines across the chart: targets.
    pub limits: Vec<ChartLimit>,
    /// Stretches of the x axis that have names, from the top of the chart to its foot: what was found there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<ChartSpan>,
}

/// One axis of a chart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Axis {
    /// What it measures.
    pub label: String,
    /// How its figures are written.
    pub quantity: Quantity,
    /// How its figures are spread.
    pub scale: Scale,
}

/// What kind of figure an axis has, which decides how it is written: ticks, numbers on hover, the table below the chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Seconds that are written in the unit that suits them: `1.15 ms`.
    Duration,
    /// Seconds since the beginning of a run: `0:42`.
    Elapsed,
    /// A share between 0 and 1, written in percent.
    Share,
    /// Operations a second.
    Rate,
    /// Bytes.
    Bytes,
    /// A number of things: users, failures.
    Count,
    /// A factor, written as a change: 1.029 is `+2.9 %`.
    Ratio,
    /// The place of a case or a commit in a list, named by [`ChartSeries::labels`].
    Place,
}

/// How the figures of an axis are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Equal steps. Begins at 0 for what is counted in whole things.
    Linear,
    /// Equal factors; for figures above 0.
    Logarithmic,
    /// A share below 1, so that each further nine (90 %, 99 %, 99.9 %) has as much room as the one before: the axis of
    /// HdrHistogram's percentile plots, log10(1 / (1 - share)).
    Nines,
}

/// Points that belong together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChartSeries {
    /// Its name in the legend.
    pub name: String,
    /// How its points are drawn.
    pub drawn: Drawn,
    /// The points, from left to right.
    pub points: Vec<ChartPoint>,
    /// Names of the points, in their order, where x is a [`Quantity::Place`]; empty otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}

/// How points are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Drawn {
    /// Joined by lines; a gap where a y is missing.
    Line,
    /// A bar from the foot of the chart to each point.
    Bars,
    /// A mark at each point.
    Marks,
    /// A mark at each point, with its interval as a line through it.
    Intervals,
}

/// One point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ChartPoint {
    /// Where it is.
    pub x: f64,
    /// Its figure; none where there was none to measure.
    pub y: Option<f64>,
    /// The ends of its interval, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
}

/// A limit with a name, drawn across a chart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChartLimit {
    /// Its name.
    pub name: String,
    /// On the y axis.
    pub y: f64,
}

/// A place on the x axis with a name, drawn from the top of a chart to its foot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChartSpan {
    /// Its name.
    pub name: String,
    /// On the x axis.
    pub x: f64,
    /// The ends of its interval, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
}

impl Axis {
    /// An axis with equal steps.
    pub fn linear(label: &str, quantity: Quantity) -> Self {
        Self { label: label.to_owned(), quantity, scale: Scale::Linear }
    }

    /// An axis with equal factors.
    pub fn logarithmic(label: &str, quantity: Quantity) -> Self {
        Self { label: label.to_owned(), quantity, scale: Scale::Logarithmic }
    }
}

impl ChartPoint {
    /// A point without an interval.
    pub fn new(x: f64, y: f64) -> Self {
        Self { x, y: Some(y), interval: None }
    }

    /// A place where nothing could be measured.
    pub fn missing(x: f64) -> Self {
        Self { x, y: None, interval: None }
    }
}
