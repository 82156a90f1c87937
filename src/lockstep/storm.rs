//! Storms: pairs during which the machine was busy with something else. They are repeated, by a rule that was fixed
//! beforehand and looks at the machine only, never at an arm.

use crate::machine::Conditions;
use crate::stats::median;

/// Stolen time above this share of the pair's time is a storm. A quiet hour had less than 1 %.
const STOLEN: f64 = 0.05;
/// A calibration loop that takes this many times as long as usual is slow.
const SLOW_LOOP: f64 = 1.5;
/// A pair in which more than this share of the loops is slow has met a storm.
const SLOW_LOOPS: f64 = 0.25;
/// Waiting for a core above this share of the pair's time is a storm. What the arms themselves cause is below 3 %.
const PRESSURE: f64 = 0.25;

/// The reason why a pair counts as disturbed, if it met a storm. `took_ns` is the time of all its slices,
/// `usual_loop_ns` the median loop of the session so far, `cores` the number of cores that the readings are of.
pub fn storm(conditions: &[Conditions], took_ns: u64, usual_loop_ns: f64, cores: usize) -> Option<String> {
    // Summed over all cores, and so set against the time of all of them.
    let stolen_ms: u64 = conditions.iter().map(|c| c.stolen_ms).sum();
    let stolen = share(1_000_000 * stolen_ms, took_ns) / cores as f64;
    if stolen > STOLEN {
        return Some(format!("the host took {:.0} % of the cores' time", 100.0 * stolen));
    }
    // Not counted by core: it is the time in which at least one task waited.
    let pressure_us: u64 = conditions.iter().map(|c| c.pressure_us).sum();
    let pressure = share(1_000 * pressure_us, took_ns);
    if pressure > PRESSURE {
        return Some(format!("something waited for a core in {:.0} % of the time", 100.0 * pressure));
    }
    // A core that merely runs slower shows in neither counter.
    let slow = conditions.iter().filter(|c| c.loop_ns as f64 > SLOW_LOOP * usual_loop_ns).count();
    if slow as f64 > SLOW_LOOPS * conditions.len() as f64 {
        let blocks = conditions.len();
        return Some(format!("the calibration loop was slow in {slow} blocks of {blocks}"));
    }
    None
}

fn share(part_ns: u64, took_ns: u64) -> f64 {
    part_ns as f64 / took_ns.max(1) as f64
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
        // 120 ms of two cores' second each are 6 %.
        let mut stolen = quiet();
        stolen[3].stolen_ms = 120;
        let said = storm(&stolen, SECOND, 40_000.0, 2);
        assert_eq!(said.as_deref(), Some("the host took 6 % of the cores' time"));
        // 300 ms of a second, and 19 times 0.1 ms.
        let mut waiting = quiet();
        waiting[3].pressure_us = 300_000;
        let said = storm(&waiting, SECOND, 40_000.0, 2);
        assert_eq!(said.as_deref(), Some("something waited for a core in 30 % of the time"));
        // 70 µs are 1.75 times the usual 40, in six blocks of 20: 30 %.
        let mut slow = quiet();
        for conditions in &mut slow[..6] {
            conditions.loop_ns = 70_000;
        }
        let said = storm(&slow, SECOND, 40_000.0, 2);
        assert_eq!(said.as_deref(), Some("the calibration loop was slow in 6 blocks of 20"));
    }

    #[test]
    fn a_little_of_each_is_none() {
        // 5 % of one core's time stolen, 20 % of waiting, one slow loop of 20: each at its limit or below.
        let mut some = quiet();
        some[0] = Conditions { stolen_ms: 50, pressure_us: 200_000, loop_ns: 70_000 };
        assert_eq!(storm(&some, SECOND, 40_000.0, 1), None);
    }
}
