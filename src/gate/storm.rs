//! Storms: pairs during which the machine did something else. They are repeated, by a rule that was fixed beforehand and
//! looks at the machine only, never at an arm.

use crate::machine::Conditions;
use crate::stats::median;

/// Stolen time above this share of the pair's time is a storm. A quiet hour had less than 1 %.
const STOLEN: f64 = 0.05;
/// A calibration loop this many times as long as usual is slow, ...
const SLOW_LOOP: f64 = 1.5;
/// ... and a pair in which this share of the loops is slow has met a storm.
const SLOW_LOOPS: f64 = 0.25;
/// Waiting for a core above this share of the pair's time is a storm. What the arms themselves cause is below 3 %.
const PRESSURE: f64 = 0.25;

/// What was wrong with a pair, if it met a storm. `took_ns` is the time of all its slices, `usual_loop_ns` the median loop
/// of the session so far, `cores` the number of cores that the readings are of.
pub fn storm(conditions: &[Conditions], took_ns: u64, usual_loop_ns: f64, cores: usize) -> Option<String> {
    let share = |part_ns: u64| part_ns as f64 / took_ns.max(1) as f64;
    // Counted over all cores.
    let stolen = share(1_000_000 * conditions.iter().map(|c| c.stolen_ms).sum::<u64>()) / cores as f64;
    if stolen > STOLEN {
        return Some(format!("the host took {:.0} % of the cores' time", 100.0 * stolen));
    }
    let pressure = share(1_000 * conditions.iter().map(|c| c.pressure_us).sum::<u64>());
    if pressure > PRESSURE {
        return Some(format!("something waited for a core in {:.0} % of the time", 100.0 * pressure));
    }
    let slow = conditions.iter().filter(|c| c.loop_ns as f64 > SLOW_LOOP * usual_loop_ns).count();
    if slow as f64 > SLOW_LOOPS * conditions.len() as f64 {
        let blocks = conditions.len();
        return Some(format!("the calibration loop was slow in {slow} blocks of {blocks}"));
    }
    None
}

/// The median duration of the calibration loop, in ns.
pub fn usual_loop_ns(conditions: &[Conditions]) -> f64 {
    median(conditions.iter().map(|c| c.loop_ns as f64).collect()).unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn quiet() -> Vec<Conditions> {
        vec![Conditions { stolen_ms: 0, pressure_us: 100, loop_ns: 40_000 }; 20]
    }

    #[test]
    fn a_quiet_pair_is_no_storm() {
        assert_eq!(storm(&quiet(), SECOND, 40_000.0, 2), None);
        assert_eq!(usual_loop_ns(&quiet()), 40_000.0);
    }

    #[test]
    fn each_sign_of_a_storm_is_one() {
        let mut stolen = quiet();
        stolen[3].stolen_ms = 120;
        let said = storm(&stolen, SECOND, 40_000.0, 2);
        assert_eq!(said.as_deref(), Some("the host took 6 % of the cores' time"));
        let mut waiting = quiet();
        waiting[3].pressure_us = 300_000;
        let said = storm(&waiting, SECOND, 40_000.0, 2);
        assert_eq!(said.as_deref(), Some("something waited for a core in 30 % of the time"));
        let mut slow = quiet();
        slow[..6].iter_mut().for_each(|c| c.loop_ns = 70_000);
        let said = storm(&slow, SECOND, 40_000.0, 2);
        assert_eq!(said.as_deref(), Some("the calibration loop was slow in 6 blocks of 20"));
    }

    #[test]
    fn a_little_of_each_is_none() {
        let mut some = quiet();
        some[0] = Conditions { stolen_ms: 50, pressure_us: 200_000, loop_ns: 70_000 };
        assert_eq!(storm(&some, SECOND, 40_000.0, 1), None);
    }
}
