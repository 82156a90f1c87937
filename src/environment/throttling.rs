//! CPU quotas: a container that has used its share stands still until the next period begins.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// For how long this process's control group has been held back so far; nothing where the system does not tell, or has
/// set no quota.
pub fn throttled() -> Option<Duration> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let file = statistics(&groups, Path::new("/sys/fs/cgroup")).into_iter().find(|file| file.exists())?;
    throttled_in(&std::fs::read_to_string(file).ok()?)
}

/// Where the group's statistics may lie: version 2 of control groups, then version 1. In a container the path is the
/// host's, and the group's own folder the root.
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
        files.push(folder.join(path.trim_start_matches('/')).join("cpu.stat"));
        files.push(folder.join("cpu.stat"));
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
        assert_eq!(v2[0], root.join("user.slice/run.scope/cpu.stat"));
        assert_eq!(v2[1], root.join("cpu.stat"));
        let v1 = statistics("5:memory:/a\n4:cpu,cpuacct:/a\n", root);
        assert_eq!(v1, [root.join("cpu,cpuacct/a/cpu.stat"), root.join("cpu,cpuacct/cpu.stat")]);
        assert_eq!(throttled_in("nr_throttled 3\nthrottled_usec 1500\n"), Some(Duration::from_micros(1500)));
        assert_eq!(throttled_in("throttled_time 2500\n"), Some(Duration::from_nanos(2500)));
        assert_eq!(throttled_in("usage_usec 1\n"), None);
    }
}
