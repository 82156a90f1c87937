//! Where on an axis a figure lies.

use super::super::{Axis, Quantity, Scale};
use super::figure::tidy;
use super::ticks::{Domain, NINES, ONE_TWO_FIVE, factor_steps, linear_step};

/// Figures between which a linear y axis has its steps.
const STEPS: f64 = 6.0;
/// A limit further away than this many times the largest figure is not drawn: the figures would lie flat on the ground.
const FAR: f64 = 4.0;
/// The same on a logarithmic axis: three decades.
const FAR_FACTOR: f64 = 1e3;
/// The last share below 1 that 64 bits can tell from it, and one bit of room.
const LAST_SHARE: f64 = 1.0 - f64::EPSILON;

/// Whether the scale has a place for this figure.
pub(super) fn fits(scale: Scale, value: f64) -> bool {
    match scale {
        Scale::Linear => true,
        Scale::Logarithmic => value > 0.0,
        // All of them, 100 %, has a place at the end of the axis.
        Scale::Nines => value >= 0.0,
    }
}

/// From the lowest to the highest figure that has a place; none where no figure has one.
pub(super) fn extent(scale: Scale, values: &[f64]) -> Option<Domain> {
    let mut extent: Option<Domain> = None;
    for value in values.iter().copied() {
        if fits(scale, value) {
            let so_far = extent.unwrap_or(Domain { from: value, to: value });
            extent = Some(Domain { from: so_far.from.min(value), to: so_far.to.max(value) });
        }
    }
    extent
}

/// Whether a limit is near enough to these figures to be drawn with them.
pub(super) fn is_near(scale: Scale, extent: Domain, limit: f64) -> bool {
    match scale {
        Scale::Linear => limit.abs() <= FAR * extent.from.abs().max(extent.to.abs()),
        Scale::Logarithmic => (extent.from / FAR_FACTOR..=extent.to * FAR_FACTOR).contains(&limit),
        Scale::Nines => (0.0..1.0).contains(&limit),
    }
}

/// What the x axis spans.
pub(super) fn domain_of_x(axis: &Axis, values: &[f64]) -> Option<Domain> {
    let extent = extent(axis.scale, values)?;
    Some(match axis.scale {
        Scale::Linear => extent,
        Scale::Logarithmic => logarithmic(axis.quantity, extent),
        Scale::Nines => nines(values),
    })
}

/// What the y axis spans: whole steps, so that no figure lies on the edge without a tick to read it by.
pub(super) fn domain_of_y(axis: &Axis, values: &[f64], bars: bool) -> Option<Domain> {
    let extent = extent(axis.scale, values)?;
    Some(match axis.scale {
        Scale::Linear => linear(axis.quantity, extent, bars),
        Scale::Logarithmic => logarithmic(axis.quantity, extent),
        Scale::Nines => nines(values),
    })
}

/// The figure that bars of this chart stand on.
pub(super) fn foot(axis: &Axis, domain: Domain) -> f64 {
    match axis.scale {
        Scale::Linear => bars_stand_on(axis.quantity),
        // These have no 0, or one that need not be on the chart.
        Scale::Logarithmic | Scale::Nines => domain.from,
    }
}

fn linear(quantity: Quantity, extent: Domain, bars: bool) -> Domain {
    let Domain { mut from, mut to } = extent;
    if let Some(base) = base(quantity, extent, bars) {
        from = from.min(base);
        to = to.max(base);
    }
    if from == to {
        // All figures are the same: room for the line to lie in, and none below an axis that begins at 0.
        let room = match quantity {
            Quantity::Ratio => 0.01,
            _ if from == 0.0 => 1.0,
            _ => from.abs() / 10.0,
        };
        to += room;
        if from != 0.0 {
            from -= room;
        }
    }
    let step = linear_step(quantity, (to - from) / STEPS);
    // A hair of binary fractions must not become a step of its own.
    let first = (from / step + 1e-6).floor();
    let last = (to / step - 1e-6).ceil();
    Domain { from: tidy(first * step), to: tidy(last * step) }
}

/// The figure that a linear axis has to show besides those that were measured.
fn base(quantity: Quantity, extent: Domain, bars: bool) -> Option<f64> {
    if bars {
        // Bars are read by their length.
        return Some(bars_stand_on(quantity));
    }
    let begins_at_zero = match quantity {
        // What is counted, and what is a time or a share of something, is read by its distance from nothing.
        Quantity::Duration | Quantity::Share | Quantity::Rate | Quantity::Count => true,
        // Memory that grows by a percent would be a flat line that way.
        Quantity::Bytes => extent.from <= extent.to / 2.0,
        Quantity::Elapsed | Quantity::Ratio | Quantity::Place => false,
    };
    if begins_at_zero { Some(0.0) } else { None }
}

/// Nothing, or no change.
fn bars_stand_on(quantity: Quantity) -> f64 {
    if quantity == Quantity::Ratio { 1.0 } else { 0.0 }
}

fn logarithmic(quantity: Quantity, extent: Domain) -> Domain {
    let steps = factor_steps(quantity, &ONE_TWO_FIVE);
    let not_above = steps.partition_point(|step| *step <= extent.from);
    let below = steps.partition_point(|step| *step < extent.to);
    // Less than a byte, or more than a thousand GB, lies beyond the steps.
    let from = not_above.checked_sub(1).map_or(extent.from, |index| steps[index]);
    let to = steps.get(below).copied().unwrap_or(extent.to);
    if from < to {
        return Domain { from, to };
    }
    // One figure, on a step.
    Domain { from: from / 2.0, to: to * 2.0 }
}

fn nines(values: &[f64]) -> Domain {
    let mut lowest = LAST_SHARE;
    let mut highest: f64 = 0.0;
    let mut all = false;
    for value in values.iter().copied().filter(|value| fits(Scale::Nines, *value)) {
        if value >= 1.0 {
            all = true;
        } else {
            lowest = lowest.min(value);
            highest = highest.max(value);
        }
    }
    if all {
        // 100 % lies at no distance: it is drawn one nine further than the last share below it.
        highest = 1.0 - (1.0 - highest) / 10.0;
    }
    let from = NINES.into_iter().rfind(|step| *step <= lowest).unwrap_or(0.0);
    let to = NINES.into_iter().find(|step| *step >= highest).unwrap_or(highest).min(LAST_SHARE);
    Domain { from: from.min(to), to }
}

/// From figures to places in the drawing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Projection {
    pub(super) scale: Scale,
    pub(super) domain: Domain,
    /// Where the first figure of the domain is.
    pub(super) start: f64,
    /// Where the last one is.
    pub(super) end: f64,
}

impl Projection {
    /// The place of a figure. One beyond an end of the axis is at that end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let Domain { from, to } = self.domain;
        let first = distance(self.scale, from);
        let last = distance(self.scale, to);
        if last <= first {
            return f64::midpoint(self.start, self.end);
        }
        let share = (distance(self.scale, value.clamp(from, to)) - first) / (last - first);
        self.start + share * (self.end - self.start)
    }
}

/// How far along its axis a figure is.
fn distance(scale: Scale, value: f64) -> f64 {
    match scale {
        Scale::Linear => value,
        Scale::Logarithmic => value.log10(),
        Scale::Nines => -(1.0 - value).log10(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ends of a y axis without bars.
    fn spans(axis: &Axis, values: &[f64]) -> [f64; 2] {
        let domain = domain_of_y(axis, values, false).expect("a figure has a place");
        [domain.from, domain.to]
    }

    fn nines_axis() -> Axis {
        Axis { label: String::new(), quantity: Quantity::Share, scale: Scale::Nines }
    }

    #[test]
    fn what_is_counted_or_timed_begins_at_zero() {
        // 97 over 6 is 16.2: steps of 20.
        assert_eq!(spans(&Axis::linear("", Quantity::Rate), &[90.0, 97.0]), [0.0, 100.0]);
        assert_eq!(spans(&Axis::linear("", Quantity::Duration), &[0.3]), [0.0, 0.3]);
        assert_eq!(spans(&Axis::linear("", Quantity::Count), &[0.0, 0.0]), [0.0, 1.0]);
    }

    #[test]
    fn memory_that_hardly_grows_has_room_to_show_it() {
        let mb = 1024.0 * 1024.0;
        // 10 MB over 6 is 1.67 MB: steps of 2 MB.
        let memory = Axis::linear("", Quantity::Bytes);
        assert_eq!(spans(&memory, &[500.0 * mb, 510.0 * mb]), [500.0 * mb, 510.0 * mb]);
        // Where it grows tenfold, it is read by its distance from nothing.
        assert_eq!(spans(&memory, &[mb, 10.0 * mb]), [0.0, 10.0 * mb]);
    }

    #[test]
    fn equal_figures_have_room_around_them() {
        assert_eq!(spans(&Axis::linear("", Quantity::Ratio), &[1.0, 1.0]), [0.99, 1.01]);
        assert_eq!(spans(&Axis::logarithmic("", Quantity::Duration), &[0.01]), [0.005, 0.02]);
    }

    #[test]
    fn bars_stand_on_nothing_or_on_no_change() {
        let ratios = Axis::linear("", Quantity::Ratio);
        let domain = domain_of_y(&ratios, &[1.02, 1.04], true).expect("ratios have places");
        assert_eq!((domain.from, foot(&ratios, domain)), (1.0, 1.0));
        let bytes = Axis::linear("", Quantity::Bytes);
        let domain = domain_of_y(&bytes, &[900.0, 1000.0], true).expect("bytes have places");
        assert_eq!((domain.from, foot(&bytes, domain)), (0.0, 0.0));
    }

    #[test]
    fn factors_have_equal_room() {
        let domain = Domain { from: 1.0, to: 100.0 };
        let projection = Projection { scale: Scale::Logarithmic, domain, start: 0.0, end: 200.0 };
        assert_eq!([1.0, 10.0, 100.0].map(|value| projection.place(value)), [0.0, 100.0, 200.0]);
        // No place, and beyond the end.
        assert_eq!([0.0, 1e6].map(|value| projection.place(value)), [0.0, 200.0]);
    }

    #[test]
    fn each_nine_has_equal_room() {
        let domain = domain_of_x(&nines_axis(), &[0.0, 0.9985]).expect("shares have places");
        assert_eq!(domain, Domain { from: 0.0, to: 0.999 });
        let projection = Projection { scale: Scale::Nines, domain, start: 0.0, end: 300.0 };
        for (share, place) in [(0.0, 0.0), (0.9, 100.0), (0.99, 200.0), (0.999, 300.0)] {
            assert!((projection.place(share) - place).abs() < 1e-9, "{share}: {}", projection.place(share));
        }
    }

    #[test]
    fn all_of_them_is_one_nine_further() {
        let domain = domain_of_x(&nines_axis(), &[0.5, 0.999, 1.0]).expect("shares have places");
        assert_eq!(domain, Domain { from: 0.5, to: 0.9999 });
        let projection = Projection { scale: Scale::Nines, domain, start: 0.0, end: 300.0 };
        assert_eq!(projection.place(1.0), 300.0);
        let nearly = domain_of_x(&nines_axis(), &[1.0 - 1e-16, 1.0]).expect("shares have places");
        assert!(nearly.to < 1.0 && nearly.from < nearly.to, "{nearly:?}");
    }

    #[test]
    fn what_has_no_place_spans_nothing() {
        assert_eq!(domain_of_y(&Axis::logarithmic("", Quantity::Duration), &[0.0, -1.0], false), None);
        assert_eq!(domain_of_y(&nines_axis(), &[], false), None);
    }

    #[test]
    fn one_place_is_in_the_middle() {
        let domain = Domain { from: 7.0, to: 7.0 };
        let projection = Projection { scale: Scale::Linear, domain, start: 50.0, end: 150.0 };
        assert_eq!(projection.place(7.0), 100.0);
    }

    #[test]
    fn a_limit_far_away_is_not_near() {
        let extent = Domain { from: 0.001, to: 0.002 };
        assert!(is_near(Scale::Linear, extent, 0.008) && !is_near(Scale::Linear, extent, 0.05));
        assert!(is_near(Scale::Logarithmic, extent, 0.05) && !is_near(Scale::Logarithmic, extent, 5.0));
        for scale in [Scale::Linear, Scale::Logarithmic, Scale::Nines] {
            assert!(!is_near(scale, extent, f64::NAN), "{scale:?}");
        }
    }
}
