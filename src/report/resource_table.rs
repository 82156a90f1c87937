//! What was used in a run, for people.

use super::resources::{MachineReport, MeanMax, ResourceReport};
use crate::document::Table;
use crate::units::{Bytes, significant};

/// Share of a core from which on the readings themselves are told: below it they are not what anybody looks for.
const TOLD_PCT: f64 = 1.0;

/// What each side used. Empty where the run was too short to tell.
pub(super) fn sides(report: &ResourceReport) -> Table {
    let mut table = Table::new([
        "mean (most)",
        "CPU",
        "busiest thread",
        "memory",
        "descriptors",
        "switches",
        "disk read",
        "disk written",
    ]);
    if !report.says_something() {
        return table;
    }
    let sides = [
        ("generator", &report.generator),
        ("service", &report.service),
        ("both, in one process", &report.both),
    ];
    for (name, side) in sides {
        let Some(side) = side else { continue };
        table.row([
            name.to_owned(),
            cell(side.cpu_pct, percent),
            cell(side.busiest_thread_pct, percent),
            cell(side.memory_bytes, bytes),
            cell(side.descriptors, whole),
            cell(side.switches_per_s, rate),
            cell(side.disk_read_bytes_per_s, bytes_per_second),
            cell(side.disk_written_bytes_per_s, bytes_per_second),
        ]);
    }
    table
}

/// What all that runs on the machine used, and had to wait for.
pub(super) fn machine(report: &ResourceReport) -> Table {
    let mut table = Table::new([
        "mean (most)",
        "CPU",
        "stolen",
        "waiting for CPU",
        "for memory",
        "for a disk",
        "disk busy",
        "loopback",
        "received",
        "sent",
    ]);
    if !report.says_something() {
        return table;
    }
    let MachineReport {
        cpu_pct,
        steal_pct,
        cpu_pressure_pct,
        memory_pressure_pct,
        io_pressure_pct,
        disk_busy_pct,
        loopback_bytes_per_s,
        received_bytes_per_s,
        sent_bytes_per_s,
    } = report.machine;
    table.row([
        "machine".to_owned(),
        cell(cpu_pct, percent),
        cell(steal_pct, percent),
        cell(cpu_pressure_pct, percent),
        cell(memory_pressure_pct, percent),
        cell(io_pressure_pct, percent),
        cell(disk_busy_pct, percent),
        cell(loopback_bytes_per_s, bytes_per_second),
        cell(received_bytes_per_s, bytes_per_second),
        cell(sent_bytes_per_s, bytes_per_second),
    ]);
    table
}

/// What is to be said beside the tables.
pub(super) fn remarks(report: &ResourceReport) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(why) = &report.unread {
        said.push(format!("What CPU, memory and network were used is not known: {why}"));
    }
    if let Some(reading) = report.reading_cpu_pct.filter(|reading| *reading > TOLD_PCT) {
        said.push(format!("Reading what was used took {} of a core", percent(reading)));
    }
    said
}

fn cell(level: MeanMax, shown: fn(f64) -> String) -> String {
    match (level.mean, level.max) {
        (Some(mean), Some(max)) => format!("{} ({})", shown(mean), shown(max)),
        _ => "-".to_owned(),
    }
}

fn percent(value: f64) -> String {
    format!("{} %", significant(value))
}

fn bytes(value: f64) -> String {
    Bytes(value.round() as u64).to_string()
}

fn bytes_per_second(value: f64) -> String {
    format!("{}/s", bytes(value))
}

fn whole(value: f64) -> String {
    significant(value.round())
}

fn rate(value: f64) -> String {
    format!("{}/s", whole(value))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::used;
    use super::*;

    #[test]
    fn a_cell_has_mean_and_maximum_or_nothing() {
        let report = ResourceReport::of(&used(&[(1_000, 970), (1_000, 990)]));
        let table = sides(&report);
        // No threads were told apart; a megabyte of the generator's, and nothing of the service's memory.
        let generator = ["generator", "98 % (99 %)", "-", "1 MB (1 MB)", "-", "-", "-", "-"];
        let service = ["service", "98 % (99 %)", "-", "-", "-", "-", "-", "-"];
        assert_eq!(table.rows, [generator, service]);
        assert_eq!(machine(&report).rows.len(), 1);
    }

    #[test]
    fn a_run_that_is_too_short_has_no_tables() {
        let report = ResourceReport::of(&used(&[(300, 100)]));
        assert!(sides(&report).is_empty() && machine(&report).is_empty());
        assert!(remarks(&report).is_empty());
    }

    #[test]
    fn what_could_not_be_read_and_what_reading_cost_is_said() {
        let mut resources = used(&[(1_000, 0)]);
        // Half a percent is no news; two are.
        resources.reading = Some(0.005);
        assert!(remarks(&ResourceReport::of(&resources)).is_empty());
        resources.reading = Some(0.02);
        resources.unread = Some("Linux only".to_owned());
        let said = [
            "What CPU, memory and network were used is not known: Linux only",
            "Reading what was used took 2 % of a core",
        ];
        assert_eq!(remarks(&ResourceReport::of(&resources)), said);
    }
}
