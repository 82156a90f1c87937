//! Two profiles as one picture: a differential flame graph (Gregg, Differential Flame Graphs, 2014). It has the form of
//! head's profile, and its colours say what changed.

use std::collections::BTreeMap;

use inferno::flamegraph::{Options, from_lines};

use crate::units::{grouped, printable};

/// The profiles of a case that got slower.
#[derive(Debug, Clone, Copy)]
pub struct Difference<'a> {
    /// Id of the case.
    pub case: &'a str,
    /// What the change was compared with.
    pub base: SampledArm<'a>,
    /// The change.
    pub head: SampledArm<'a>,
}

/// The profile of one side, in all its processes.
#[derive(Debug, Clone, Copy)]
pub struct SampledArm<'a> {
    /// Name of the side.
    pub name: &'a str,
    /// A line for each stack: its frames from the outermost to the innermost with semicolons between them, a space, and
    /// nanoseconds of CPU time.
    pub folded: &'a str,
    /// Operations in which they were spent.
    pub operations: u64,
}

/// The CPU time of an operation in one stack, in ns.
#[derive(Debug, Default)]
struct StackTimes {
    base: u64,
    head: u64,
}

impl Difference<'_> {
    /// The picture; `None` where nothing was sampled of head, whose form it would have.
    pub fn svg(&self) -> Option<String> {
        let stacks = self.stacks();
        if stacks.values().all(|times| times.head == 0) {
            return None;
        }
        // In the order of the stacks, which the drawing relies on. Sorted as lines, with their numbers, they might not be.
        let mut lines = Vec::new();
        for (stack, StackTimes { base, head }) in &stacks {
            lines.push(format!("{stack} {base} {head}"));
        }
        let mut options = Options::default();
        options.no_sort = true;
        // Control characters are not allowed in XML; all else is escaped where it is written.
        options.title = printable(&format!("{}: red is slower in head, blue is faster", self.case));
        options.subtitle = Some(printable(&format!(
            "CPU time of an operation, as wide as it is in head; head: {}, {} operations; base: {}, {} operations",
            self.head.name,
            grouped(self.head.operations),
            self.base.name,
            grouped(self.base.operations)
        )));
        options.count_name = "ns an operation".to_owned();
        let mut svg = Vec::new();
        from_lines(&mut options, lines.iter().map(String::as_str), &mut svg)
            .expect("stacks are drawn in memory");
        Some(String::from_utf8(svg).expect("SVG is text"))
    }

    /// Both profiles, for one operation each: not by samples, of which the slower side has more for the same work.
    fn stacks(&self) -> BTreeMap<&str, StackTimes> {
        let mut stacks: BTreeMap<&str, StackTimes> = BTreeMap::new();
        for line in self.base.folded.lines() {
            if let Some((stack, ns)) = parse(line) {
                stacks.entry(stack).or_default().base += self.base.per_operation(ns);
            }
        }
        for line in self.head.folded.lines() {
            if let Some((stack, ns)) = parse(line) {
                stacks.entry(stack).or_default().head += self.head.per_operation(ns);
            }
        }
        stacks
    }
}

impl SampledArm<'_> {
    fn per_operation(&self, ns: u64) -> u64 {
        (ns as f64 / self.operations.max(1) as f64).round() as u64
    }
}

/// A stack and its time. `None` for a line that has none.
fn parse(line: &str) -> Option<(&str, u64)> {
    let (stack, ns) = line.rsplit_once(' ')?;
    Some((stack, ns.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(folded: &str, operations: u64) -> SampledArm<'_> {
        SampledArm { name: "v1", folded, operations }
    }

    fn svg(base: &str, head: &str) -> Option<String> {
        Difference { case: "a/<b>\u{7}", base: arm(base, 10), head: arm(head, 20) }.svg()
    }

    #[test]
    fn what_an_operation_takes_more_is_told_and_red() {
        // 30 ns of ten operations each, and 40 of twenty: in all there are 50 more samples, and 10 ns an operation.
        let svg = svg("stub;serve;hash 300\nstub;serve 200\n", "stub;serve;hash 800\nstub;serve 400\n");
        let svg = svg.expect("has stacks");
        // Of 60 ns, 40 are 66.67 %, and 10 are 16.67 %.
        assert!(svg.contains("<title>hash (40 ns an operation, 66.67%; +16.67%)</title>"), "{svg}");
        assert!(svg.contains("<title>serve (60 ns an operation, 100.00%; 0.00%)</title>"), "{svg}");
        // As red as the largest change is drawn.
        assert!(svg.contains("rgb(255,100,100)"), "{svg}");
        assert!(svg.contains("head: v1, 20 operations; base: v1, 10 operations"), "{svg}");
    }

    #[test]
    fn names_are_escaped_and_stacks_in_any_order() {
        // As lines with numbers the second would stand before the first: a digit comes after an exclamation mark.
        let svg = svg("a 10\na !b 10\n", "a !b 20\na 20\nno number\n").expect("has stacks");
        assert!(svg.contains("a/&lt;b&gt;\\u{7}: red is slower in head"), "{svg}");
        assert!(svg.contains("<title>a !b (1 ns an operation, 50.00%; 0.00%)</title>"), "{svg}");
        assert!(!svg.contains("no number"), "{svg}");
    }

    #[test]
    fn a_head_without_samples_has_no_picture() {
        assert!(svg("a 10\n", "").is_none() && svg("", "").is_none());
        assert!(svg("", "a 20\n").is_some());
    }
}
