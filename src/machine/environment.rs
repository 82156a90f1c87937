//! The machine and the build, as reports have them.

use serde::{Deserialize, Serialize};
use sysinfo::{CpuRefreshKind, RefreshKind, System};

use super::Placement;
use crate::units::rfc3339;

/// The circumstances that figures depend on. Reports with different ones should not be compared without a second thought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// CPU model as the system names it.
    pub cpu: String,
    /// Number of cores that this process may use.
    pub cores: usize,
    /// Memory in MB.
    pub memory_mb: u64,
    /// Operating system with its kernel's version.
    pub os: String,
    /// Compiler of this build.
    pub rustc: String,
    /// `debug` or `release`.
    pub profile: String,
    /// Version of this crate.
    pub version: String,
    /// SHA-256 of the benchmark source that was built, hex.
    pub source: String,
    /// How threads were placed on cores.
    pub placement: String,
    /// The service that was measured: `stub`, or the URL of an ingester.
    pub ingester: String,
    /// Time at which the report was made (RFC 3339, UTC).
    pub made_at: String,
}

impl Environment {
    /// Reads this machine. `ingester` must hold no password.
    pub fn read(placement: &Placement, ingester: impl Into<String>) -> Self {
        // Names and sizes only: how busy the cores are would have to be measured over some time.
        let refresh = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing())
            .with_memory(sysinfo::MemoryRefreshKind::nothing().with_ram());
        let system = System::new_with_specifics(refresh);
        let os = [System::long_os_version(), System::kernel_version()];
        Self {
            cpu: system
                .cpus()
                .first()
                .map_or_else(|| "unknown".to_owned(), |cpu| cpu.brand().trim().to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mb: system.total_memory() >> 20,
            os: os.into_iter().flatten().collect::<Vec<_>>().join(", kernel "),
            rustc: env!("INGESTER_PERF_RUSTC").to_owned(),
            profile: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            source: env!("INGESTER_PERF_SOURCE").to_owned(),
            placement: placement.to_string(),
            ingester: ingester.into(),
            made_at: rfc3339(time::OffsetDateTime::now_utc()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_cores_and_a_compiler() {
        let here = Environment::read(&Placement::none(), "stub");
        assert!(here.cores >= 1 && here.memory_mb > 0);
        assert!(here.rustc.starts_with("rustc 1."), "{}", here.rustc);
        assert_eq!(here.source.len(), 64);
        assert!(here.made_at.ends_with("+00:00"), "{}", here.made_at);
    }
}
