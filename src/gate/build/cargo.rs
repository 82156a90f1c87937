//! Running cargo: the same flags for both arms, whoever started the gate, and nothing left over from the other arm.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use aws_lc_rs::digest;
use serde_json::Value;

use super::error::BuildError;
use super::{Commit, PACKAGE};
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::process_group;
use crate::units::hex;

/// Variables of cargo that stay: where packages come from, and how this machine links. All others go; an outer
/// `cargo run` sets dozens.
const STAY: [&str; 8] = [
    "CARGO_HOME",
    "CARGO_NET_",
    "CARGO_HTTP_",
    "CARGO_REGISTR",
    "CARGO_SOURCE_",
    "CARGO_TARGET_",
    "CARGO_BUILD_JOBS",
    "CARGO_ENCODED_RUSTFLAGS",
];
/// Variables that change what the compilers make. The C compiler's may also have a target before or after them, as
/// `CC_x86_64-unknown-linux-gnu`, `TARGET_CFLAGS` and `HOST_CC` do (documentation of the crate `cc`, "External
/// configuration via environment variables").
const DECIDE: [&str; 5] =
    ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC", "RUSTC_WRAPPER", "SOURCE_DATE_EPOCH"];
const DECIDE_FOR_C: [&str; 13] = [
    "CC",
    "CXX",
    "AR",
    "ARFLAGS",
    "RANLIB",
    "CFLAGS",
    "CXXFLAGS",
    "CPPFLAGS",
    "ASFLAGS",
    "LDFLAGS",
    "LIBS",
    "CRATE_CC_NO_DEFAULTS",
    "CMAKE",
];
/// All variables of the builds of AWS-LC, and cargo's own for a target.
const DECIDE_FROM: [&str; 2] = ["AWS_LC_", "CARGO_TARGET_"];
/// Of a failed build's output: an error or two and cargo's own last words.
const LINES: usize = 40;

/// Cargo, building what is checked out in one folder.
#[derive(Debug)]
pub struct Cargo {
    program: OsString,
    /// Where it runs. Cargo takes settings and rustup a toolchain from the folders above the current one. The checkout
    /// lies in the user's working tree, whose `.cargo/config.toml` may be head's: base must not be built with it. So
    /// it runs above that tree, and is told of the commit's own settings. Both arms have one toolchain, the gate's.
    outside: PathBuf,
    /// The one folder that every commit is built in: paths end up in the executable.
    pub source: PathBuf,
    target: PathBuf,
    wanted: Wanted,
    pub interrupt: Interrupt,
}

/// What is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// This project's program.
    Own,
    /// A bench, which is a worker.
    Bench {
        /// Its name.
        name: String,
        /// The folder of its crate, seen from the top of the repository.
        folder: PathBuf,
    },
}

impl Wanted {
    /// Name of the target in cargo's messages.
    fn target(&self) -> &str {
        match self {
            Self::Own => PACKAGE,
            Self::Bench { name, .. } => name,
        }
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Own => write!(f, "program {PACKAGE}"),
            Self::Bench { name, .. } => write!(f, "bench {name}"),
        }
    }
}

impl Cargo {
    pub fn new(program: OsString, root: &Path, home: &Path, interrupt: &Interrupt) -> Self {
        let outside = root.parent().unwrap_or(root).to_owned();
        let interrupt = interrupt.clone();
        let source = home.join("source");
        Self { program, outside, source, target: home.join("target"), wanted: Wanted::Own, interrupt }
    }

    /// One that builds something else than this project's program.
    pub fn wanting(self, wanted: Wanted) -> Self {
        Self { wanted, ..self }
    }

    /// The folder of the crate in the checkout.
    fn crate_folder(&self) -> PathBuf {
        match &self.wanted {
            Wanted::Own => self.source.clone(),
            Wanted::Bench { folder, .. } => self.source.join(folder),
        }
    }

    /// Compiles what is checked out, dependencies once for both arms, and returns the executable.
    pub fn build(&self, commit: &Commit) -> Result<PathBuf, Error> {
        let package = match self.wanted {
            Wanted::Own => PACKAGE.to_owned(),
            Wanted::Bench { .. } => package_in(&self.crate_folder())?,
        };
        // Cargo believes in file times: a source older than the other arm's build would count as built. This also
        // waits for a build that outlived its gate, and removes what that one made.
        self.run(&["clean", "--release", "--package", &package], commit)?;
        let messages = ["--message-format", "json-render-diagnostics"];
        let output = match &self.wanted {
            Wanted::Own => {
                self.run(&[&["build", "--release", "--bin", PACKAGE], &messages[..]].concat(), commit)?
            }
            // As `cargo bench` builds it.
            Wanted::Bench { name, .. } => {
                self.run(&[&["bench", "--no-run", "--bench", name], &messages[..]].concat(), commit)?
            }
        };
        executable(&String::from_utf8_lossy(&output.stdout), self.wanted.target()).ok_or_else(|| {
            let commit = commit.name.clone();
            BuildError::NoExecutable { commit, target: self.wanted.to_string() }.into()
        })
    }

    fn run(&self, args: &[&str], commit: &Commit) -> Result<Output, BuildError> {
        let folder = self.crate_folder();
        let mut command = self.command(&self.program);
        command.args(args).arg("--manifest-path").arg(folder.join("Cargo.toml"));
        command.arg("--target-dir").arg(&self.target);
        // A library need not have its versions committed; this project has.
        let is_locked = folder
            .ancestors()
            .any(|above| above.starts_with(&self.source) && above.join("Cargo.lock").is_file());
        if is_locked || self.wanted == Wanted::Own {
            command.arg("--locked");
        }
        let settings = self.source.join(".cargo/config.toml");
        if settings.is_file() {
            command.arg("--config").arg(settings);
        }
        let output = self.output(command, &self.program)?;
        if output.status.success() {
            return Ok(output);
        }
        let status = output.status;
        let output = tail(&output.stderr);
        Err(BuildError::Compile { commit: commit.name.clone(), status, output })
    }

    /// Stands for everything that decides an executable's bytes beside the commit.
    pub fn key(&self) -> Result<String, Error> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut version = self.command(&rustc);
        version.arg("-vV");
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(&self.output(version, &rustc)?.stdout);
        hash.update(self.source.as_os_str().as_encoded_bytes());
        if let Wanted::Bench { name, folder } = &self.wanted {
            hash.update(name.as_bytes());
            hash.update(folder.as_os_str().as_encoded_bytes());
        }
        for (name, value) in deciding() {
            hash.update(name.as_bytes());
            hash.update(value.as_encoded_bytes());
        }
        for settings in self.settings() {
            hash.update(&std::fs::read(settings).unwrap_or_default());
        }
        Ok(hex(&hash.finish().as_ref()[..8]))
    }

    /// Where cargo looks for settings that are not the commit's.
    fn settings(&self) -> impl Iterator<Item = PathBuf> {
        let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
        let above = self.outside.ancestors().map(|folder| folder.join(".cargo"));
        above.chain(home).map(|folder| folder.join("config.toml"))
    }

    fn output(&self, command: Command, program: &OsString) -> Result<Output, BuildError> {
        let output = process_group::output(command, &self.interrupt).map_err(|source| {
            BuildError::NotRun { program: program.to_string_lossy().into_owned(), source }
        })?;
        self.interrupt.signal().map_or(Ok(output), |signal| Err(BuildError::Interrupted(signal)))
    }

    fn command(&self, program: &OsString) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.outside);
        for (name, _) in std::env::vars_os().filter(|(name, _)| goes(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        // Incremental builds of the same source differ in their bytes.
        command.env("CARGO_INCREMENTAL", "0").env("CARGO_TERM_COLOR", "never");
        command
    }
}

fn goes(name: &str) -> bool {
    name.starts_with("CARGO_") && (is_folder(name) || !STAY.iter().any(|stays| name.starts_with(stays)))
}

/// These are about folders, unlike all others that begin with `CARGO_TARGET_`.
fn is_folder(name: &str) -> bool {
    ["CARGO_TARGET_DIR", "CARGO_TARGET_TMPDIR"].contains(&name)
}

/// Whether a variable changes what the compilers make.
fn decides(name: &str) -> bool {
    let of_c = DECIDE_FOR_C.iter().any(|variable| {
        let after =
            name.strip_prefix(variable).is_some_and(|target| target.is_empty() || target.starts_with('_'));
        let before = ["TARGET_", "HOST_"].iter().any(|kind| name.strip_prefix(kind) == Some(variable));
        after || before
    });
    let begins = DECIDE_FROM.iter().any(|start| name.starts_with(start)) && !is_folder(name);
    DECIDE.contains(&name) || of_c || begins
}

/// The variables that change what the compilers make, in a fixed order.
fn deciding() -> Vec<(String, OsString)> {
    let named = std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value));
    let mut found: Vec<_> = named.filter(|(name, value)| decides(name) && !value.is_empty()).collect();
    found.sort_unstable();
    found
}

/// The name of the package in a folder.
pub(super) fn package_in(folder: &Path) -> Result<String, BuildError> {
    let path = folder.join("Cargo.toml");
    let text = std::fs::read_to_string(&path)
        .map_err(|e| BuildError::NoCrate { path: path.clone(), reason: e.to_string() })?;
    let name = text.parse::<toml::Table>().ok().and_then(|table| {
        let name = table.get("package")?.get("name")?.as_str()?;
        Some(name.to_owned())
    });
    name.ok_or_else(|| BuildError::NoCrate { path, reason: "it names no package".to_owned() })
}

/// Where cargo says that it put the executable of this target.
fn executable(messages: &str, target: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut ours = messages.filter(|message| message["target"]["name"] == target);
    ours.find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
}

fn tail(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_outer_cargo_sets_goes_and_what_the_machine_needs_stays() {
        for name in
            ["CARGO_MANIFEST_DIR", "CARGO_TARGET_DIR", "CARGO_PROFILE_RELEASE_LTO", "CARGO_INCREMENTAL"]
        {
            assert!(goes(name), "{name}");
        }
        for name in
            ["CARGO_HOME", "CARGO_REGISTRIES_MIRROR_INDEX", "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER"]
        {
            assert!(!goes(name), "{name}");
        }
    }

    #[test]
    fn what_decides_the_bytes_is_part_of_a_builds_name() {
        for name in [
            "RUSTFLAGS",
            "CC",
            "CXX",
            "CFLAGS",
            "LDFLAGS",
            "CFLAGS_x86_64_unknown_linux_gnu",
            "CC_x86_64-unknown-linux-gnu",
            "TARGET_CC",
            "HOST_CC",
            "TARGET_CFLAGS",
            "CXXFLAGS",
            "AR",
            "AWS_LC_SYS_CFLAGS",
            "AWS_LC_SYS_NO_ASM",
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER",
        ] {
            assert!(decides(name), "{name}");
        }
        for name in ["HOME", "PATH", "CCACHE_DIR", "CARGO_TARGET_DIR", "HOST", "ARCH"] {
            assert!(!decides(name), "{name}");
        }
    }

    #[test]
    fn of_a_long_output_the_end_is_kept() {
        let long: String = (0..100).map(|n| format!("{n}\n")).collect();
        assert!(tail(long.as_bytes()).starts_with("60\n"));
        assert!(tail(long.as_bytes()).ends_with("\n99"));
        assert_eq!(tail(b"one"), "one");
    }
}
