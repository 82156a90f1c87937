//! Time lost to CPU quotas: a container that has used its share stands still until the next period begins.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// For how long this process has been held back so far, by the quota of its control group or of one around that; `None`
/// where the system does not tell, or has set no quota.
pub fn throttled() -> Option<Duration> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let files = statistics(&groups, Path::new("/sys/fs/cgroup"));
    let texts = files.iter().filter_map(|file| std::fs::read_to_string(file).ok());
    summed(texts.filter_map(|text| throttled_in(&text)))
}

/// Sum of these times, so that the difference of two readings has that of each; `None` where there are none.
fn summed(times: impl Iterator<Item = Duration>) -> Option<Duration> {
    times.reduce(|sum, time| sum + time)
}

/// Files that may have statistics of the group and of those around it, in version 2 of control groups and in version 1. Each
/// has those of its own quota only. In a container the path may be the host's, and the group's own folder the root.
fn statistics(groups: &str, root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        // `number:controllers:path`; no controllers are named in version 2 (cgroups(7)).
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let folder = match controllers {
            "" => root.to_owned(),
            of_cpu if of_cpu.split(',').any(|name| name == "cpu") => root.join(of_cpu),
            _ => continue,
        };
        // Files that do not exist are passed over where they are read.
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            files.push(folder.join(group).join("cpu.stat"));
        }
    }
    files
}

/// The time in a group's statistics: in version 2 in microseconds, in version 1 in nanoseconds and under another name.
fn throttled_in(statistics: &str) -> Option<Duration> {
    if let Some(micros) = number(statistics, "throttled_usec ") {
        return Some(Duration::from_micros(micros));
    }
    number(statistics, "throttled_time ").map(Duration::from_nanos)
}

/// The number behind this name at the beginning of a line.
fn number(statistics: &str, name: &str) -> Option<u64> {
    statistics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sum for a group that was held back for `own` seconds, within one that was held back for 100 s.
    fn reading(own: u64) -> Option<Duration> {
        summed([own, 100].map(Duration::from_secs).into_iter())
    }

    #[test]
    fn both_versions_of_control_groups_are_understood() {
        let root = Path::new("/sys/fs/cgroup");
        let v2 = statistics("0::/user.slice/run.scope\n", root);
        assert_eq!(
            v2,
            ["user.slice/run.scope/cpu.stat", "user.slice/cpu.stat", "cpu.stat"].map(|file| root.join(file))
        );
        let v1 = statistics("5:memory:/a\n4:cpu,cpuacct:/a\n", root);
        assert_eq!(v1, [root.join("cpu,cpuacct/a/cpu.stat"), root.join("cpu,cpuacct/cpu.stat")]);
        assert_eq!(throttled_in("nr_throttled 3\nthrottled_usec 1500\n"), Some(Duration::from_micros(1500)));
        assert_eq!(throttled_in("throttled_time 2500\n"), Some(Duration::from_nanos(2500)));
        assert_eq!(throttled_in("usage_usec 1\n"), None);
        // Between two readings the group around this one was not held back, and this one was for 50 s.
        assert_eq!(reading(50).zip(reading(0)).map(|(now, then)| now - then), Some(Duration::from_secs(50)));
        assert_eq!(summed(std::iter::empty()), None);
    }
}
