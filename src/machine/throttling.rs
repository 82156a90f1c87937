//! CPU quotas: a container that has used its share stands still until the next period begins.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// For how long this process has been held back so far, by the quota of its control group or of one around that; nothing
/// where the system does not tell, or has set no quota.
pub fn throttled() -> Option<Duration> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let files = statistics(&groups, Path::new("/sys/fs/cgroup"));
    let texts = files.iter().filter_map(|file| std::fs::read_to_string(file).ok());
    summed(texts.filter_map(|text| throttled_in(&text)))
}

/// All of them together, so that the difference of two readings has that of each; nothing where there are none.
fn summed(times: impl Iterator<Item = Duration>) -> Option<Duration> {
    times.reduce(|sum, time| sum + time)
}

/// Where statistics may lie of the group and of those around it, in version 2 of control groups and in version 1. Each has
/// those of its own quota only. In a container the path may be the host's, and the group's own folder the root.
fn statistics(groups: &str, root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let folder = match controllers {
            "" => root.to_owned(),
            of_cpu if of_cpu.split(',').any(|name| name == "cpu") => root.join(of_cpu),
            _ => continue,
        };
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            files.push(folder.join(group).join("cpu.stat"));
        }
    }
    files
}

fn throttled_in(statistics: &str) -> Option<Duration> {
    let number =
        |name: &str| statistics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    number("throttled_usec ")
        .map(Duration::from_micros)
        .or_else(|| number("throttled_time ").map(Duration::from_nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        // Between two readings a group around this one stood still at 100 s, and this one's quota took 50.
        let reading = |own: u64| summed([own, 100].map(Duration::from_secs).into_iter());
        assert_eq!(reading(50).zip(reading(0)).map(|(now, then)| now - then), Some(Duration::from_secs(50)));
        assert_eq!(summed(std::iter::empty()), None);
    }
}
