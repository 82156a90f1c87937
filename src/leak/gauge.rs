//! One value out of what a service tells of itself, in the text format of Prometheus or OpenMetrics.

/// The value of the metric `name`: the sum over its labels, as where each part of a heap has a line of its own. `None` where
/// there is no such metric, or a value of it is not a number.
pub(crate) fn gauge_of(text: &str, name: &str) -> Option<f64> {
    let mut sum: Option<f64> = None;
    for line in text.lines() {
        let Some(rest) = line.trim_start().strip_prefix(name) else { continue };
        let Some(rest) = behind_labels(rest) else { continue };
        // A time may stand behind the value.
        let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
        if !value.is_finite() {
            return None;
        }
        sum = Some(sum.unwrap_or(0.0) + value);
    }
    sum
}

/// What stands behind the labels. `None` where the name goes on, which is another metric's then.
fn behind_labels(rest: &str) -> Option<&str> {
    let Some(labels) = rest.strip_prefix('{') else {
        return Some(rest).filter(|rest| rest.starts_with([' ', '\t']));
    };
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (at, character) in labels.char_indices() {
        match character {
            // A value may hold anything, a brace as well.
            '}' if !is_quoted => return Some(&labels[at + 1..]),
            '"' if !is_escaped => is_quoted = !is_quoted,
            _ => {}
        }
        is_escaped = character == '\\' && !is_escaped;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP go_memstats_heap_alloc_bytes Bytes in use.
# TYPE go_memstats_heap_alloc_bytes gauge
go_memstats_heap_alloc_bytes 1.5e+06
go_memstats_heap_alloc_bytes_total 7
jvm_memory_used_bytes{area=\"heap\",id=\"Eden }\"} 100 1700000000
jvm_memory_used_bytes{area=\"heap\",id=\"a \\\"}\\\\\"} 23
lost NaN
ingester_live_bytes 4096
# EOF
";

    #[test]
    fn a_gauge_is_found_by_its_whole_name() {
        assert_eq!(gauge_of(TEXT, "go_memstats_heap_alloc_bytes"), Some(1_500_000.0));
        assert_eq!(gauge_of(TEXT, "ingester_live_bytes"), Some(4096.0));
        assert_eq!(gauge_of(TEXT, "go_memstats_heap_alloc"), None);
        assert_eq!(gauge_of(TEXT, "live_bytes"), None);
    }

    #[test]
    fn the_values_of_all_labels_are_added_up() {
        assert_eq!(gauge_of(TEXT, "jvm_memory_used_bytes"), Some(123.0));
    }

    #[test]
    fn what_is_not_a_number_is_not_a_value() {
        assert_eq!(gauge_of(TEXT, "lost"), None);
        assert_eq!(gauge_of("a b", "a"), None);
        assert_eq!(gauge_of("a{b=\"", "a"), None);
        assert_eq!(gauge_of("", "a"), None);
    }
}
