//! What a case costs by phase: a pure function of its slices, and how it is told.

use crate::Verdict;
use crate::case::{Kind, Spec};
use crate::document::Document;
use crate::phases::{Breakdown, PhaseMean, ServicePhases, breakdown_table};
use crate::stub::TOKEN_PHASE;
use crate::units::{grouped, latency};

/// What is left of a client's latency: the stub sees nothing of it.
const REST: &str = "network, client";
/// By how many percent the sum of the phases may miss the time that was measured apart.
const TOLERANCE_PCT: f64 = 5.0;

/// A case and its slices.
pub struct CaseCost {
    id: String,
    users: u32,
    /// Whether it is the token check without an upload around it.
    is_token_check: bool,
    slices: Vec<SliceCost>,
}

/// What was measured in one slice.
pub struct SliceCost {
    /// Operations of the client.
    pub operations: u64,
    /// The sum of their latencies.
    pub latency_ns: f64,
    /// What the stub tells of them.
    pub phases: ServicePhases,
}

impl CaseCost {
    /// Of this case, without slices.
    pub fn of(spec: &Spec) -> Self {
        let is_token_check = matches!(spec.kind, Kind::Jwt);
        Self { id: spec.id(), users: spec.users(), is_token_check, slices: Vec::new() }
    }

    /// Adds a slice.
    pub fn add(&mut self, slice: SliceCost) {
        self.slices.push(slice);
    }

    /// All slices as one.
    fn total(&self) -> SliceCost {
        let mut total = SliceCost { operations: 0, latency_ns: 0.0, phases: ServicePhases::default() };
        for slice in &self.slices {
            total.operations += slice.operations;
            total.latency_ns += slice.latency_ns;
            total.phases.merge(&slice.phases);
        }
        total
    }

    /// The client's mean latency, split into the phases of the stub and the rest.
    fn breakdown(&self) -> Breakdown {
        let total = self.total();
        let mean_ns = total.latency_ns / total.operations.max(1) as f64;
        let parts = if self.is_token_check {
            vec![PhaseMean { phase: TOKEN_PHASE.to_owned(), ns: mean_ns }]
        } else {
            let mut parts = match total.phases.total() {
                Some(phases) => phases.means(),
                None => Vec::new(),
            };
            let known: f64 = parts.iter().map(|part| part.ns).sum();
            parts.push(PhaseMean { phase: REST.to_owned(), ns: (mean_ns - known).max(0.0) });
            parts
        };
        Breakdown::new(self.id.clone(), total.operations, mean_ns, &parts)
    }

    /// What the token check is of this case, in a sentence.
    fn token_check(&self) -> Option<String> {
        let breakdown = self.breakdown();
        if self.is_token_check {
            let mean = latency(Some(breakdown.avg_ms));
            return Some(format!("By itself, again and again, a token check takes {mean} ({}).", self.id));
        }
        let token = breakdown.phase(TOKEN_PHASE)?;
        let mut least = f64::INFINITY;
        let mut most: f64 = 0.0;
        for slice in &self.slices {
            let ns = slice.phases.total().map_or(0, |phases| phases.ns_in(TOKEN_PHASE));
            let share = 100.0 * ns as f64 / slice.latency_ns;
            least = least.min(share);
            most = most.max(share);
        }
        Some(format!(
            "The token check is {:.1} % of {} ({least:.1} to {most:.1} % in {} slices of the run).",
            token.share_pct,
            self.id,
            self.slices.len()
        ))
    }

    /// What the phases add up to, in percent of the time in the stub. `None` where it told of nothing.
    fn accounted_pct(&self) -> Option<f64> {
        let phases = self.total().phases.total()?;
        Some(Breakdown::of_size(&phases).sum_pct)
    }

    /// A reason not to trust the figures, if there is one.
    fn problem(&self) -> Option<String> {
        if self.is_token_check {
            return None;
        }
        let total = self.total();
        let told = total.phases.total().map_or(0, |phases| phases.operations);
        if told != total.operations {
            return Some(format!(
                "{}: the stub tells of {} uploads, and the client of {}",
                self.id,
                grouped(told),
                grouped(total.operations)
            ));
        }
        let accounted = self.accounted_pct()?;
        if (accounted - 100.0).abs() <= TOLERANCE_PCT {
            return None;
        }
        Some(format!("{}: its phases add up to {accounted:.1} % of its time in the stub", self.id))
    }
}

/// Whether the figures are to be trusted.
pub fn verdict(costs: &[CaseCost]) -> Verdict {
    let untrusted = costs.iter().any(|cost| cost.problem().is_some());
    if untrusted { Verdict::Untrusted } else { Verdict::Held }
}

/// All that is to be said of these cases.
pub fn cost_document(costs: &[CaseCost]) -> Document {
    let mut document = Document::new("Phases");
    let breakdowns: Vec<Breakdown> = costs.iter().map(CaseCost::breakdown).collect();
    document.table(breakdown_table("case", &breakdowns));
    document.gap();
    document.lines(costs.iter().filter_map(CaseCost::token_check));
    for cost in costs {
        if let Some(accounted) = cost.accounted_pct() {
            let id = &cost.id;
            document.line(format!("The phases of {id} add up to {accounted:.1} % of its time in the stub."));
        }
        if cost.users > 1 {
            document.line(format!(
                "{} has {} users at once: its phases include waiting for a core.",
                cost.id, cost.users
            ));
        }
    }
    for problem in costs.iter().filter_map(CaseCost::problem) {
        document.line(format!("NOT TO BE TRUSTED: {problem}"));
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Suite;
    use crate::phases::{PhaseTime, SizePhases};

    /// Of so many uploads, 200 µs each for the client, the stub took 150 µs: a share of that for the token, the rest for the
    /// hash. The clock read 1 µs more.
    fn slice(uploads: u64, token_us: u64) -> SliceCost {
        let size = SizePhases {
            smallest_bytes: 10_240,
            largest_bytes: 10_240,
            operations: uploads,
            bytes: uploads * 10_240,
            whole_ns: uploads * 151_000,
            phases: vec![time("token", uploads * token_us), time("hash", uploads * (150 - token_us))],
        };
        let phases = ServicePhases { sizes: vec![size] };
        SliceCost { operations: uploads, latency_ns: uploads as f64 * 200e3, phases }
    }

    fn time(phase: &str, us: u64) -> PhaseTime {
        PhaseTime { phase: phase.to_owned(), ns: us * 1000 }
    }

    fn cost(id: &str, slices: Vec<SliceCost>) -> CaseCost {
        let suite = Suite::default();
        let mut cost = CaseCost::of(suite.case(id).expect("is a case"));
        for slice in slices {
            cost.add(slice);
        }
        cost
    }

    /// Two slices, in which the token check takes 30 and 50 µs.
    fn upload() -> CaseCost {
        cost("upload/10KB", vec![slice(100, 30), slice(300, 50)])
    }

    #[test]
    fn each_row_adds_up_to_the_clients_latency() {
        let breakdown = upload().breakdown();
        // 30 µs a hundred times and 50 µs three hundred times: 45 µs, 22.5 % of 200 µs.
        let shares: Vec<(String, f64)> =
            breakdown.phases.iter().map(|share| (share.phase.clone(), share.share_pct)).collect();
        let expected = [("token", 22.5), ("hash", 52.5), (REST, 25.0)];
        assert_eq!(shares, expected.map(|(phase, share)| (phase.to_owned(), share)));
        assert_eq!((breakdown.operations, breakdown.avg_ms, breakdown.sum_pct), (400, 0.2, 100.0));
    }

    #[test]
    fn the_token_check_has_a_number_and_its_range() {
        assert_eq!(
            upload().token_check().expect("has one"),
            "The token check is 22.5 % of upload/10KB (15.0 to 25.0 % in 2 slices of the run)."
        );
        let alone = SliceCost { operations: 10, latency_ns: 205e3, phases: ServicePhases::default() };
        let alone = cost("jwt/validate", vec![alone]);
        assert_eq!(
            alone.token_check().expect("has one"),
            "By itself, again and again, a token check takes 20.5 µs (jwt/validate)."
        );
        let breakdown = alone.breakdown();
        assert_eq!((breakdown.phases.len(), breakdown.phases[0].share_pct), (1, 100.0));
        assert_eq!(alone.problem(), None);
    }

    #[test]
    fn phases_that_do_not_add_up_are_not_to_be_trusted() {
        assert_eq!((upload().problem(), verdict(&[upload()])), (None, Verdict::Held));
        let mut lost = slice(100, 30);
        // 150 of 160 µs are 93.75 %.
        lost.phases.sizes[0].whole_ns = 16_000_000;
        let lost = cost("upload/10KB", vec![lost]);
        let problem = "upload/10KB: its phases add up to 93.8 % of its time in the stub";
        assert_eq!(lost.problem().as_deref(), Some(problem));
        assert_eq!(verdict(&[upload(), lost]), Verdict::Untrusted);
    }

    #[test]
    fn uploads_that_one_side_does_not_know_are_a_problem() {
        let mut more = slice(1000, 30);
        more.operations = 1001;
        let problem = "upload/10KB: the stub tells of 1,000 uploads, and the client of 1,001";
        assert_eq!(cost("upload/10KB", vec![more]).problem().as_deref(), Some(problem));
    }

    #[test]
    fn the_document_says_all_of_it() {
        let load = cost("load/10_users", vec![slice(1, 30), slice(1, 30)]);
        let document = cost_document(&[upload(), load]);
        let expected = concat!(
            " case             n      avg   token    hash  network, client      sum \n",
            " upload/10KB    400   200 µs   45 µs  105 µs            50 µs   200 µs \n",
            "   share             100.0 %  22.5 %  52.5 %           25.0 %  100.0 % \n",
            " load/10_users    2   200 µs   30 µs  120 µs            50 µs   200 µs \n",
            "   share             100.0 %  15.0 %  60.0 %           25.0 %  100.0 % \n",
            "\n",
            "The token check is 22.5 % of upload/10KB (15.0 to 25.0 % in 2 slices of the run).\n",
            "The token check is 15.0 % of load/10_users (15.0 to 15.0 % in 2 slices of the run).\n",
            "The phases of upload/10KB add up to 99.3 % of its time in the stub.\n",
            "The phases of load/10_users add up to 99.3 % of its time in the stub.\n",
            "load/10_users has 10 users at once: its phases include waiting for a core.\n",
        );
        assert_eq!(document.to_string(), expected);
    }
}
