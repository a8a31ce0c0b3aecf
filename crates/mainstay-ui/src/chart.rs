//! Charts: a figure, one sentence that says what it shows, and the data as a table. Drawn on the server as SVG, so that
//! they need no script; text lies outside the drawing, so that it keeps its size on a narrow screen.

use jiff::Timestamp;
use maud::{Markup, html};
use schemars::JsonSchema;
use serde::Serialize;

use crate::number::{self, Unit};
use crate::{time, url};

/// How many columns a chart is reduced to; each keeps its smallest and largest value.
pub const COLUMNS: usize = 300;
/// How many rows the table beside a chart has at most.
const TABLE_ROWS: usize = 30;
/// The drawing's own units.
const WIDTH: f64 = 1_000.0;
const HEIGHT: f64 = 200.0;

/// A value at an instant (milliseconds since the epoch); no value where nothing is known, which breaks the line.
pub type Point = (i64, Option<f64>);

/// A chart over time.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Chart {
    /// Unique on its page; letters, digits and `-`.
    pub id: String,
    /// What is shown: `Requests by outcome`.
    pub title: String,
    /// One sentence that says what the chart shows, for who cannot see it.
    pub sentence: String,
    /// What the values count.
    pub unit: Unit,
    /// Where the time axis begins, in milliseconds since the epoch.
    pub start_ms: i64,
    /// Where it ends.
    pub end_ms: i64,
    /// The lines.
    pub series: Vec<Series>,
    /// Horizontal lines to compare with: objectives, limits, capacity.
    pub limits: Vec<Limit>,
    /// What was changed meanwhile.
    pub marks: Vec<Mark>,
    /// The expression that the values answer.
    pub query: Option<String>,
}

/// One line of a chart.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its values, in order of time.
    pub points: Vec<Point>,
}

/// A horizontal line to compare with.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Limit {
    /// Its name: `objective`.
    pub name: String,
    /// Where it lies.
    pub value: f64,
}

/// Something that happened at an instant of the time axis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Mark {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// What: `deploy payment-service v1.6.0`.
    pub text: String,
    /// A page that says more.
    pub href: Option<String>,
}

/// Reduces `points` to at most two per column between `start_ms` and `end_ms`: the smallest and the largest, in the order
/// in which they came. No spike is lost, however narrow. A column of unknown values stays unknown.
#[must_use]
pub fn reduce(points: &[Point], start_ms: i64, end_ms: i64, columns: usize) -> Vec<Point> {
    let width_ms = end_ms.saturating_sub(start_ms).max(1);
    let column_of = |at_ms: i64| {
        let columns = i128::try_from(columns.max(1)).unwrap_or(1);
        let offset = i128::from(at_ms.saturating_sub(start_ms));
        (offset * columns / i128::from(width_ms)).min(columns - 1)
    };
    let inside: Vec<&Point> = points
        .iter()
        .filter(|(at_ms, _)| (start_ms..=end_ms).contains(at_ms))
        .collect();
    let mut reduced = Vec::new();
    for column in inside.chunk_by(|a, b| column_of(a.0) == column_of(b.0)) {
        let known = |point: &&&Point| point.1.is_some_and(f64::is_finite);
        let by_value = |a: &&&Point, b: &&&Point| a.1.unwrap_or(0.0).total_cmp(&b.1.unwrap_or(0.0));
        let low = column.iter().filter(known).min_by(by_value);
        let high = column.iter().filter(known).max_by(by_value);
        match low.zip(high) {
            None => reduced.push((column[0].0, None)),
            Some((low, high)) if low == high => reduced.push(**low),
            Some((low, high)) if low.0 < high.0 => reduced.extend([**low, **high]),
            Some((low, high)) => reduced.extend([**high, **low]),
        }
    }
    reduced
}

/// The smallest of 1, 1.5, 2, 3, 4, 5, 6, 8 × 10ⁿ that is not below `value`: the top of an axis.
fn nice_top(value: f64) -> f64 {
    if !(value.is_finite() && value > 0.0) {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0]
        .map(|step| step * power)
        .into_iter()
        .find(|top| *top >= value * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

/// The geometry of one drawing.
struct Plane {
    start_ms: i64,
    width_ms: f64,
    /// The lowest value shown: 0, unless something is below it.
    bottom: f64,
    top: f64,
}

impl Plane {
    fn of(chart: &Chart, lines: &[Vec<Point>]) -> Self {
        let values = || {
            let values = lines.iter().flatten().filter_map(|(_, value)| *value);
            let limits = chart.limits.iter().map(|limit| limit.value);
            values.chain(limits).filter(|value| value.is_finite())
        };
        let highest = values().fold(0.0, f64::max);
        let lowest = values().fold(0.0, f64::min);
        #[expect(clippy::cast_precision_loss, reason = "a drawing needs no more")]
        let width_ms = chart.end_ms.saturating_sub(chart.start_ms).max(1) as f64;
        Self {
            start_ms: chart.start_ms,
            width_ms,
            bottom: if lowest < 0.0 { -nice_top(-lowest) } else { 0.0 },
            // What is only below 0 needs no room above it.
            top: if lowest < 0.0 && highest <= 0.0 {
                0.0
            } else {
                nice_top(highest)
            },
        }
    }

    fn x(&self, at_ms: i64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a drawing needs no more")]
        let offset = at_ms.saturating_sub(self.start_ms) as f64;
        offset / self.width_ms * WIDTH
    }

    fn y(&self, value: f64) -> f64 {
        let part = (value - self.bottom) / (self.top - self.bottom);
        HEIGHT - part.clamp(0.0, 1.0) * HEIGHT
    }

    /// The values at the top, in the middle and at the bottom.
    fn scale(&self) -> [f64; 3] {
        [self.top, f64::midpoint(self.top, self.bottom), self.bottom]
    }

    /// The path of one line, broken where nothing is known.
    fn path(&self, points: &[Point]) -> String {
        use std::fmt::Write as _;
        let mut path = String::new();
        let mut down = false;
        for (at_ms, value) in points {
            let Some(value) = value.filter(|value| value.is_finite()) else {
                down = false;
                continue;
            };
            let command = if down { 'L' } else { 'M' };
            // Writing to a String cannot fail.
            let _ = write!(path, "{command}{:.1} {:.1}", self.x(*at_ms), self.y(value));
            if !down {
                // A point between two gaps would have no length and not be seen.
                path.push_str("h0.1");
            }
            down = true;
        }
        path
    }
}

/// The chart as a figure.
#[must_use]
pub fn figure(chart: &Chart) -> Markup {
    let lines: Vec<Vec<Point>> = chart
        .series
        .iter()
        .map(|series| reduce(&series.points, chart.start_ms, chart.end_ms, COLUMNS))
        .collect();
    let plane = Plane::of(chart, &lines);
    let caption_id = format!("{}-caption", chart.id);
    html! {
        figure.chart id=(chart.id) {
            figcaption id=(caption_id) {
                b { (chart.title) } " "
                span.sentence { (chart.sentence) }
                @if let Some(expr) = &chart.query { " " a.query href=(url::query(expr)) title=(expr) { "query" } }
            }
            (legend(chart))
            div.plot {
                div.y aria-hidden="true" {
                    @for value in plane.scale() { span { (number::measured(value, chart.unit)) } }
                }
                (drawing(chart, &lines, &plane, &caption_id))
                div.x aria-hidden="true" {
                    @for at in axis(chart) { span { (at) } }
                }
            }
            @if !chart.marks.is_empty() { (marks(chart)) }
            details id={ (chart.id) "-data" } {
                summary { "Data" }
                (data(chart))
            }
        }
    }
}

fn drawing(chart: &Chart, lines: &[Vec<Point>], plane: &Plane, caption_id: &str) -> Markup {
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-labelledby=(caption_id) {
            @for part in [0.0, 0.5, 1.0] {
                line.grid x1="0" x2=(WIDTH) y1=(HEIGHT * part) y2=(HEIGHT * part) {}
            }
            @for limit in &chart.limits {
                line.limit x1="0" x2=(WIDTH) y1=(rounded(plane.y(limit.value))) y2=(rounded(plane.y(limit.value))) {
                    title { (limit.name) " " (number::measured(limit.value, chart.unit)) }
                }
            }
            @for mark in inside(chart) {
                line.mark x1=(rounded(plane.x(mark.at_ms))) x2=(rounded(plane.x(mark.at_ms))) y1="0" y2=(HEIGHT) {
                    title { (mark.text) }
                }
            }
            @for (index, line) in lines.iter().enumerate() {
                path class={ "line l" (index % 6) } d=(plane.path(line)) {}
            }
        }
    }
}

fn rounded(value: f64) -> String {
    format!("{value:.1}")
}

fn inside(chart: &Chart) -> impl Iterator<Item = &Mark> {
    chart
        .marks
        .iter()
        .filter(|mark| (chart.start_ms..=chart.end_ms).contains(&mark.at_ms))
}

fn legend(chart: &Chart) -> Markup {
    html! {
        ul.legend {
            @for (index, series) in chart.series.iter().enumerate() {
                li {
                    svg.sample viewBox="0 0 24 8" aria-hidden="true" { path class={ "line l" (index % 6) } d="M0 4h24" {} }
                    " " (series.name)
                    @if let Some(value) = last_known(series) { " " b { (number::measured(value, chart.unit)) } }
                    @else { " " b { "unknown" } }
                }
            }
            @for limit in &chart.limits {
                li {
                    svg.sample viewBox="0 0 24 8" aria-hidden="true" { path.limit d="M0 4h24" {} }
                    " " (limit.name) " " b { (number::measured(limit.value, chart.unit)) }
                }
            }
        }
    }
}

/// The newest value, if it is known.
fn last_known(series: &Series) -> Option<f64> {
    series.points.last()?.1.filter(|value| value.is_finite())
}

fn marks(chart: &Chart) -> Markup {
    html! {
        ul.marks {
            @for mark in inside(chart) {
                li {
                    span.at { (clock(mark.at_ms, chart)) " UTC" } " "
                    @match &mark.href {
                        Some(href) => a href=(href) { (mark.text) },
                        None => (mark.text),
                    }
                }
            }
        }
    }
}

/// From this length on, times of the day alone would not say which day, in milliseconds.
const DATED_FROM_MS: i64 = 36 * 3_600_000;

fn is_dated(chart: &Chart) -> bool {
    chart.end_ms.saturating_sub(chart.start_ms) >= DATED_FROM_MS
}

fn clock(at_ms: i64, chart: &Chart) -> String {
    let words = |at| {
        if is_dated(chart) {
            format!("{} {}", time::month_day(at), time::hour_minute(at))
        } else {
            time::hour_minute(at)
        }
    };
    Timestamp::from_millisecond(at_ms).map_or_else(|_| "unknown".to_owned(), words)
}

/// Five instants, evenly spaced, the last with its zone.
fn axis(chart: &Chart) -> Vec<String> {
    let step = chart.end_ms.saturating_sub(chart.start_ms) / 4;
    (0..5)
        .map(|index| {
            let at_ms = chart.start_ms.saturating_add(step.saturating_mul(index));
            let at = match Timestamp::from_millisecond(at_ms) {
                Ok(at) if is_dated(chart) => time::month_day(at),
                _ => clock(at_ms, chart),
            };
            if index == 4 { format!("{at} UTC") } else { at }
        })
        .collect()
}

/// The same data as a table, one row per thirtieth of the time; each cell holds the largest value of its row's span.
fn data(chart: &Chart) -> Markup {
    let width_ms = chart.end_ms.saturating_sub(chart.start_ms).max(1);
    let rows_count = i64::try_from(TABLE_ROWS).unwrap_or(1);
    let step_ms = (width_ms / rows_count).max(1);
    let rows: Vec<Vec<Markup>> = (0..rows_count)
        .map(|row| {
            let from_ms = chart.start_ms.saturating_add(row * step_ms);
            let cells = chart.series.iter().map(|series| {
                let largest = series
                    .points
                    .iter()
                    .filter(|(at_ms, _)| (from_ms..from_ms.saturating_add(step_ms)).contains(at_ms))
                    .filter_map(|(_, value)| value.filter(|value| value.is_finite()))
                    .reduce(f64::max);
                html! { (largest.map_or_else(|| "unknown".to_owned(), |value| number::measured(value, chart.unit))) }
            });
            std::iter::once(html! { (clock(from_ms, chart)) }).chain(cells).collect()
        })
        .collect();
    // Column headings are names of series: text from outside, which `table::dense` does not take.
    html! {
        div.scroll tabindex="0" role="region" aria-label={ "Data of " (chart.title) } {
            table {
                caption { "Largest value of each " (time::span(step_ms.unsigned_abs())) }
                thead { tr {
                    th scope="col" { "from, UTC" }
                    @for series in &chart.series { th.num scope="col" { (series.name) } }
                } }
                tbody {
                    @for row in &rows {
                        tr { @for (index, cell) in row.iter().enumerate() {
                            @if index == 0 { th scope="row" { (cell) } } @else { td.num { (cell) } }
                        } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spike_is_lost_and_the_size_is_bounded() {
        let mut points: Vec<Point> = (0..10_000).map(|i| (i, Some(1.0))).collect();
        points[4_321].1 = Some(99.0);
        points[7_777].1 = Some(-5.0);
        let reduced = reduce(&points, 0, 10_000, 100);
        assert!(reduced.len() <= 200, "{}", reduced.len());
        assert!(reduced.contains(&(4_321, Some(99.0))));
        assert!(reduced.contains(&(7_777, Some(-5.0))));
        assert!(reduced.is_sorted_by_key(|(at_ms, _)| *at_ms));
    }

    #[test]
    fn what_is_unknown_breaks_the_line() {
        let points = [(0, Some(1.0)), (10, None), (20, Some(f64::NAN)), (30, Some(2.0))];
        let reduced = reduce(&points, 0, 40, 4);
        assert_eq!(reduced, [(0, Some(1.0)), (10, None), (20, None), (30, Some(2.0))]);
        let plane = Plane {
            start_ms: 0,
            width_ms: 40.0,
            bottom: 0.0,
            top: 2.0,
        };
        assert_eq!(plane.path(&reduced).matches('M').count(), 2);
    }

    #[test]
    fn what_is_below_zero_is_drawn_below_it() {
        let line = vec![(0, Some(40.0)), (10, Some(-130.0))];
        let mut chart = Chart {
            id: "left".to_owned(),
            title: "Budget left".to_owned(),
            sentence: String::new(),
            unit: Unit::Count,
            start_ms: 0,
            end_ms: 40 * 3_600_000,
            series: Vec::new(),
            limits: Vec::new(),
            marks: Vec::new(),
            query: None,
        };
        let plane = Plane::of(&chart, std::slice::from_ref(&line));
        assert_eq!(plane.scale(), [40.0, -55.0, -150.0]);
        assert!(plane.y(-130.0) < HEIGHT && plane.y(-130.0) > plane.y(0.0));
        let spent = Plane::of(&chart, &[vec![(0, Some(-9.0))]]);
        assert_eq!(
            spent.scale(),
            [0.0, -5.0, -10.0],
            "nothing above 0, no room for it"
        );
        assert_eq!(axis(&chart)[4], "01-02 UTC", "a day by its date");
        chart.end_ms = 3_600_000;
        assert_eq!(axis(&chart)[4], "01:00 UTC");
    }

    #[test]
    fn axes_end_on_round_numbers() {
        assert_eq!(
            [0.0, 0.9, 1.0, 2.1, 730.0, f64::NAN].map(nice_top),
            [1.0, 1.0, 1.0, 3.0, 800.0, 1.0]
        );
    }
}
