//! Running cargo: the same flags for both arms, whoever started the gate, and nothing left over from the other arm.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use aws_lc_rs::digest;
use serde_json::Value;

use super::commit::Commit;
use super::error::BuildError;
use super::{COUNTING, PACKAGE};
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::process_group;
use crate::units::hex;

/// Variables of cargo that the build sees: where packages come from, and how this machine links. All others that begin
/// with `CARGO_` are removed, as an outer `cargo run` sets dozens.
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
/// Variables that change what the compilers make.
const DECIDE: [&str; 6] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "SOURCE_DATE_EPOCH",
];
/// Variables of the C compiler that do the same. They may also have a target before or after them, as
/// `CC_x86_64-unknown-linux-gnu`, `TARGET_CFLAGS` and `HOST_CC` do (documentation of the crate `cc`, "External
/// configuration via environment variables").
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
/// Beginnings of variables that do the same: those of the builds of AWS-LC, and cargo's own for a target.
const DECIDE_FROM: [&str; 2] = ["AWS_LC_", "CARGO_TARGET_"];
/// Number of lines shown from the end of a failed build's output: an error or two and cargo's own last lines.
const LINES: usize = 40;

/// Runs cargo on what is checked out in one folder.
#[derive(Debug)]
pub struct Cargo {
    program: OsString,
    /// Folder that cargo runs in. Cargo takes settings and rustup a toolchain from the current folder and those above.
    /// The checkout lies in the user's working tree, whose `.cargo/config.toml` may be head's: base must not be built
    /// with it. So cargo runs above that tree, and is told of the commit's own settings. Both arms have one toolchain,
    /// the gate's.
    outside: PathBuf,
    /// The one folder that every commit is built in: paths end up in the executable.
    pub source: PathBuf,
    target: PathBuf,
    wanted: Wanted,
    pub interrupt: Interrupt,
}

/// What a build leaves in cargo's folder, until the next one.
#[derive(Debug)]
pub struct Built {
    /// The executable of what was wanted.
    pub program: PathBuf,
    /// That of the program that counts, if it was asked for.
    pub counting: Option<PathBuf>,
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
    fn name(&self) -> &str {
        match self {
            Self::Own => PACKAGE,
            Self::Bench { name, .. } => name,
        }
    }

    /// Kind of the target in cargo's messages.
    fn kind(&self) -> &'static str {
        match self {
            Self::Own => "bin",
            Self::Bench { .. } => "bench",
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

    /// This cargo, building something else than this project's program.
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

    /// Compiles what is checked out, dependencies once for both arms. Of this project also the program that counts, if that is
    /// asked for.
    pub fn build(&self, commit: &Commit, with_counting: bool) -> Result<Built, Error> {
        let package = match self.wanted {
            Wanted::Own => PACKAGE.to_owned(),
            Wanted::Bench { .. } => package_in(&self.crate_folder())?,
        };
        // Cargo goes by file times: a source older than the other arm's build would count as built. Cleaning also
        // waits for a build that outlived its gate, and removes what that one made.
        self.run(&["clean", "--release", "--package", &package], commit)?;
        let messages = ["--message-format", "json-render-diagnostics"];
        let output = match &self.wanted {
            Wanted::Own => {
                let mut args = vec!["build", "--release", "--bin", PACKAGE];
                if with_counting {
                    args.extend(["--bin", COUNTING]);
                }
                args.extend(messages);
                self.run(&args, commit)?
            }
            // As `cargo bench` builds it: with the profile that the user measures with.
            Wanted::Bench { name, .. } => {
                self.run(&[&["bench", "--no-run", "--bench", name], &messages[..]].concat(), commit)?
            }
        };
        let said = String::from_utf8_lossy(&output.stdout);
        let program = executable(&said, self.wanted.name(), self.wanted.kind()).ok_or_else(|| {
            let commit = commit.name.clone();
            BuildError::NoExecutable { commit, target: self.wanted.to_string() }
        })?;
        // Cargo has built it if it was asked to, and names none otherwise.
        Ok(Built { program, counting: executable(&said, COUNTING, "bin") })
    }

    fn run(&self, args: &[&str], commit: &Commit) -> Result<Output, BuildError> {
        let folder = self.crate_folder();
        let mut command = self.command(&self.program);
        command.args(args).arg("--manifest-path").arg(folder.join("Cargo.toml"));
        command.arg("--target-dir").arg(&self.target);
        // A library may leave Cargo.lock out of git, and --locked would then refuse to build it. This project commits
        // its own, and a commit without it is an error.
        let is_locked = folder
            .ancestors()
            .any(|above| above.starts_with(&self.source) && above.join("Cargo.lock").is_file());
        if is_locked || self.wanted == Wanted::Own {
            command.arg("--locked");
        }
        // Cargo runs outside of the checkout, and so does not find the commit's settings by itself.
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

    /// Hash of everything that decides an executable's bytes beside the commit.
    pub fn key(&self) -> Result<String, Error> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut version = self.command(&rustc);
        version.arg("-vV");
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(&self.output(version, &rustc)?.stdout);
        // The folder's path ends up in the executable.
        hash.update(self.source.as_os_str().as_encoded_bytes());
        if let Wanted::Bench { name, folder } = &self.wanted {
            hash.update(name.as_bytes());
            hash.update(folder.as_os_str().as_encoded_bytes());
        }
        for (name, value) in deciding() {
            hash.update(name.as_bytes());
            hash.update(value.as_encoded_bytes());
        }
        // The commit's own settings are part of the commit.
        for settings in self.settings() {
            hash.update(&std::fs::read(settings).unwrap_or_default());
        }
        // 64 bits are enough to tell apart the few builds of one commit.
        Ok(hex(&hash.finish().as_ref()[..8]))
    }

    /// Files in which cargo looks for settings that are not the commit's.
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
        // A command that was interrupted looks like one that failed, and its output is not all of it.
        match self.interrupt.signal() {
            Some(signal) => Err(BuildError::Interrupted(signal)),
            None => Ok(output),
        }
    }

    fn command(&self, program: &OsString) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.outside);
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_removed(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        // Incremental builds of the same source differ in their bytes.
        command.env("CARGO_INCREMENTAL", "0").env("CARGO_TERM_COLOR", "never");
        command
    }
}

/// Whether a variable is removed before cargo runs.
fn is_removed(name: &str) -> bool {
    name.starts_with("CARGO_") && (is_folder(name) || !STAY.iter().any(|stays| name.starts_with(stays)))
}

/// Whether the variable names a folder. All others that begin with `CARGO_TARGET_` are settings of a target.
fn is_folder(name: &str) -> bool {
    ["CARGO_TARGET_DIR", "CARGO_TARGET_TMPDIR"].contains(&name)
}

/// Whether a variable changes what the compilers make.
fn decides(name: &str) -> bool {
    let begins = DECIDE_FROM.iter().any(|start| name.starts_with(start)) && !is_folder(name);
    DECIDE.contains(&name) || DECIDE_FOR_C.iter().any(|variable| is_for_c(name, variable)) || begins
}

/// Whether `name` is this variable of the C compiler, by itself or with a target before or after it.
fn is_for_c(name: &str, variable: &str) -> bool {
    // The underscore sets `CC_x86_64-unknown-linux-gnu` apart from `CCACHE_DIR`.
    let after =
        name.strip_prefix(variable).is_some_and(|target| target.is_empty() || target.starts_with('_'));
    let before = ["TARGET_", "HOST_"].iter().any(|kind| name.strip_prefix(kind) == Some(variable));
    after || before
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

/// The path at which cargo says that it put the executable of the target of this name and kind.
fn executable(messages: &str, name: &str, kind: &str) -> Option<PathBuf> {
    // A message is a line of JSON. Procedural macros may print other lines among them (Cargo book, "External tools").
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    // A bench and a program of one package may have one name.
    let mut ours =
        messages.filter(|message| message["target"]["name"] == name && message["target"]["kind"][0] == kind);
    ours.find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
}

/// The last lines of an output.
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
            assert!(is_removed(name), "{name}");
        }
        for name in
            ["CARGO_HOME", "CARGO_REGISTRIES_MIRROR_INDEX", "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER"]
        {
            assert!(!is_removed(name), "{name}");
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
    fn each_program_is_found_by_its_own_name() {
        let mut messages = String::from("printed by a macro\n");
        for (kind, name) in
            [("lib", "ingester_perf"), ("bench", PACKAGE), ("bin", COUNTING), ("bin", PACKAGE)]
        {
            let target = serde_json::json!({"name": name, "kind": [kind]});
            messages +=
                &serde_json::json!({"target": target, "executable": format!("/{kind}/{name}")}).to_string();
            messages.push('\n');
        }
        assert_eq!(executable(&messages, PACKAGE, "bin"), Some("/bin/ingester-perf".into()));
        assert_eq!(executable(&messages, COUNTING, "bin"), Some("/bin/ingester-perf-counting".into()));
        assert_eq!(executable(&messages, "other", "bin"), None);
    }

    #[test]
    fn of_a_long_output_the_end_is_kept() {
        // Lines 0 to 99, of which the last 40 are kept.
        let long: String = (0..100).map(|n| format!("{n}\n")).collect();
        assert!(tail(long.as_bytes()).starts_with("60\n"));
        assert!(tail(long.as_bytes()).ends_with("\n99"));
        assert_eq!(tail(b"one"), "one");
    }
}
