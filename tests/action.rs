//! Promise: the action measures what changed and nothing else, tells the result in one comment of its own, and ends the job
//! so that an inconclusive run is never green; texts of others are data, and never a part of a command.

#![cfg(unix)]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::bench::Run;
use tempfile::TempDir;

/// In place of GitHub's program: notes its arguments and the body that it is given, finds the comments in a file, and ends with
/// the code in another.
const GH: &str = r#"#!/bin/sh
echo "$*" >>"$RUNNER/gh.calls"
for word; do
  case $word in body=@*) cp "${word#body=@}" "$RUNNER/body" ;; esac
done
case "$*" in *--paginate*) cat "$RUNNER/comments" 2>/dev/null ;; esac
exit "$(cat "$RUNNER/gh.code" 2>/dev/null || echo 0)"
"#;

/// In place of the program that measures: notes each argument in brackets, and ends well.
const PERF: &str = "#!/bin/sh\nfor word; do printf '[%s]' \"$word\"; done >\"$RUNNER/perf.call\"\n";

/// A runner of GitHub's: a repository in which a branch has left main, and what a step is given there.
struct Runner {
    dir: TempDir,
}

impl Runner {
    fn new() -> Self {
        let runner = Self { dir: TempDir::new().expect("makes a folder") };
        for folder in ["bin", "repository/docs", "repository/src"] {
            std::fs::create_dir_all(runner.path(folder)).expect("makes it");
        }
        runner.program("bin/gh", GH);
        runner.program("bin/ingester-perf", PERF);
        runner.git(&["init", "--quiet", "--initial-branch=main"]);
        runner.commit("src/lib.rs", "one");
        runner.git(&["checkout", "--quiet", "-b", "change"]);
        runner
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::write(&path, text).expect("writes");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("may");
    }

    /// What git prints.
    fn git(&self, args: &[&str]) -> String {
        let git = Command::new("git")
            .args(["-c", "user.name=x", "-c", "user.email=x@localhost"])
            .args(args)
            .current_dir(self.path("repository"))
            .output();
        Run::from(git.expect("git exists")).exited(0).stdout
    }

    /// Commits a file with this text.
    fn commit(&self, file: &str, text: &str) {
        std::fs::write(self.path("repository").join(file), text).expect("writes");
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "a change"]);
    }

    /// Runs a script of `ci`, as a step with these inputs.
    fn step(&self, script: &str, args: &[&str], inputs: &[(&str, &str)]) -> Run {
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("ci").join(script));
        // Those of the workflow that runs this test must not decide it.
        for (name, _) in std::env::vars() {
            if name.starts_with("GITHUB_") || name.starts_with("GATE") {
                command.env_remove(name);
            }
        }
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .args(args)
            .current_dir(self.path("repository"))
            .env("RUNNER", self.dir.path())
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("GITHUB_SERVER_URL", "https://forge.example")
            .env("GITHUB_REPOSITORY", "owner/name")
            .env("GITHUB_RUN_ID", "7")
            .env("GITHUB_OUTPUT", self.path("outputs"))
            .env("GITHUB_STEP_SUMMARY", self.path("page"))
            .env("NAME", "gate")
            .envs(inputs.iter().copied())
            .stdin(Stdio::null());
        command.output().expect("bash exists").into()
    }

    /// The same for the step that tells, on pull request 5.
    fn tell(&self, inputs: &[(&str, &str)]) -> Run {
        let usual = [
            ("REPORT", "report"),
            ("COMMENT", "true"),
            ("AUTHOR", "github-actions[bot]"),
            ("PULL_REQUEST", "5"),
        ];
        self.step("action/tell.sh", &[], &[&usual, inputs].concat())
    }

    /// The same for the step that adds the check.
    fn check(&self, inputs: &[(&str, &str)]) -> Run {
        self.step("action/check.sh", &[], &[&[("COMMIT", "abc")], inputs].concat())
    }

    /// Writes what a gate left.
    fn summary(&self, text: &str) {
        std::fs::create_dir_all(self.path("repository/report")).expect("makes it");
        std::fs::write(self.path("repository/report/summary.md"), text).expect("writes");
    }

    /// What a step has written to this file; nothing where it has not.
    fn wrote(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

#[test]
fn a_change_of_what_is_left_out_is_skipped_and_says_so() {
    let runner = Runner::new();
    runner.commit("docs/a.md", "text");
    let skipped = runner.step("action/skip.sh", &[], &[("SKIP_PATHS", "*.md\n\ndocs/\n")]);
    skipped.exits(0);
    let sentence = runner.wrote("outputs");
    assert!(sentence.starts_with("sentence=skipped: nothing that is measured changed since "), "{sentence}");
    assert!(sentence.ends_with("(left out: *.md, docs/)\n"), "{sentence}");
    assert!(skipped.stdout.starts_with("::notice::skipped: "), "{}", skipped.stdout);
}

#[test]
fn a_change_of_code_is_measured() {
    let runner = Runner::new();
    runner.commit("docs/a.md", "text");
    runner.commit("src/lib.rs", "two");
    runner.step("action/skip.sh", &[], &[("SKIP_PATHS", "*.md\ndocs/\n")]).exits(0);
    assert_eq!(runner.wrote("outputs"), "sentence=\n");
}

#[test]
fn code_that_is_moved_to_the_docs_is_measured() {
    let runner = Runner::new();
    runner.git(&["mv", "src/lib.rs", "docs/lib.rs"]);
    runner.git(&["commit", "--quiet", "--message", "moved"]);
    let told = runner.step("gate-skip.sh", &["docs/"], &[]).exited(0);
    assert_eq!(told.stdout, "");
}

#[test]
fn a_change_that_is_not_committed_is_measured() {
    let runner = Runner::new();
    runner.commit("docs/a.md", "text");
    std::fs::write(runner.path("repository/src/lib.rs"), "two").expect("writes");
    let told = runner.step("gate-skip.sh", &["docs/"], &[]).exited(0);
    assert_eq!(told.stdout, "");
}

#[test]
fn without_patterns_nothing_is_skipped() {
    let runner = Runner::new();
    // Nothing at all has changed.
    runner.step("action/skip.sh", &[], &[("SKIP_PATHS", "\n")]).exits(0);
    assert_eq!(runner.wrote("outputs"), "");
}

#[test]
fn the_base_is_where_the_branch_left_main() {
    let runner = Runner::new();
    runner.commit("src/lib.rs", "two");
    let base = runner.step("gate-base.sh", &[], &[]).exited(0).stdout;
    assert_eq!(base, runner.git(&["rev-parse", "main"]));
    // On main itself it is the commit before, of which there is none yet.
    runner.git(&["checkout", "--quiet", "main"]);
    assert!(runner.step("gate-base.sh", &[], &[]).exits(2).contains("no commit before HEAD"));
    runner.commit("src/lib.rs", "three");
    assert_eq!(runner.step("gate-base.sh", &[], &[]).exited(0).stdout, base);
    // A branch that is not there is named, and not replaced by main.
    let missing = runner.step("gate-base.sh", &[], &[("GITHUB_BASE_REF", "next")]);
    assert!(missing.exits(2).contains("there is no next to compare with"), "{}", missing.stderr);
}

#[test]
fn arguments_have_the_quotes_of_a_shell_and_run_nothing() {
    let runner = Runner::new();
    let args = "--case 'a b'\n--case \"$(touch pwned)\" --bench `id`";
    runner.step("action/gate.sh", &[], &[("ARGS", args), ("INCONCLUSIVE", "neutral")]).exits(0);
    assert_eq!(runner.wrote("perf.call"), "[gate][--case][a b][--case][$(touch pwned)][--bench][`id`]");
    assert_eq!(runner.wrote("outputs"), "verdict=success\n");
    assert!(!runner.path("repository/pwned").exists());

    let open = runner.step("action/gate.sh", &[], &[("ARGS", "--case 'a"), ("INCONCLUSIVE", "neutral")]);
    assert!(open.exits(2).contains("a quote is not closed: --case 'a"), "{}", open.stderr);
}

#[test]
fn the_first_result_is_a_new_comment_and_the_next_replaces_it() {
    let runner = Runner::new();
    runner.summary("### Gate: passed\n");
    runner.tell(&[]).exits(0);
    let text = "<!-- ingester-perf: gate -->\n### Gate: passed\n\n\
                [Log and report](https://forge.example/owner/name/actions/runs/7)\n";
    assert_eq!(runner.wrote("body"), text);
    assert_eq!(runner.wrote("page"), text);
    let calls = runner.wrote("gh.calls");
    assert!(calls.contains("--method POST repos/owner/name/issues/5/comments -F body=@"), "{calls}");

    std::fs::write(runner.path("comments"), "11\n12\n").expect("writes");
    std::fs::remove_file(runner.path("gh.calls")).expect("is there");
    runner.tell(&[]).exits(0);
    let calls = runner.wrote("gh.calls");
    // Whoever else writes the marker into a comment does not have it replaced.
    assert!(calls.contains(r#".user.login == "github-actions[bot]" and (.body | startswith("#), "{calls}");
    assert!(calls.contains("--method PATCH repos/owner/name/issues/comments/11 -F body=@"), "{calls}");
    assert!(!calls.contains("POST"), "{calls}");
}

#[test]
fn a_skipped_change_gets_no_comment_but_renews_an_old_one() {
    let skipped = [("SKIPPED", "skipped: docs alone")];
    let runner = Runner::new();
    // Of an earlier run on the same machine.
    runner.summary("### Gate: FAILED\n");
    runner.tell(&skipped).exits(0);
    assert_eq!(runner.wrote("gh.calls").lines().count(), 1, "it only looked for one");
    std::fs::write(runner.path("comments"), "11\n").expect("writes");
    runner.tell(&skipped).exits(0);
    let body = runner.wrote("body");
    assert!(
        body.contains("### Gate: skipped\n\nskipped: docs alone\n") && !body.contains("FAILED"),
        "{body}"
    );
}

#[test]
fn a_gate_that_did_not_measure_says_where_to_look() {
    let runner = Runner::new();
    runner.tell(&[("COMMENT", "false")]).exits(0);
    assert!(runner.wrote("page").contains("nothing was measured"), "{}", runner.wrote("page"));
    assert_eq!(runner.wrote("gh.calls"), "");
}

#[test]
fn the_result_of_an_earlier_run_is_not_told_as_that_of_this_one() {
    let runner = Runner::new();
    runner.summary("### Gate: passed\n");
    // A build that fails: it ends before anything is measured, and leaves what is there.
    runner.program("bin/ingester-perf", "#!/bin/sh\nexit 2\n");
    runner.step("action/gate.sh", &[], &[("INCONCLUSIVE", "neutral"), ("REPORT", "report")]).exits(0);
    assert_eq!(runner.wrote("outputs"), "verdict=failure\n");
    runner.tell(&[("COMMENT", "false")]).exits(0);
    let page = runner.wrote("page");
    assert!(page.contains("nothing was measured") && !page.contains("passed"), "{page}");
}

#[test]
fn a_long_result_is_cut_to_what_a_comment_takes() {
    let runner = Runner::new();
    runner.summary(&"| a row of a table |\n".repeat(5000));
    runner.tell(&[]).exits(0);
    let body = runner.wrote("body");
    assert!(body.len() < 65_536 && body.len() > 59_000, "{}", body.len());
    assert!(body.contains("\nCut here; all of it is in the report.\n"), "{}", body.len());
}

#[test]
fn a_result_that_is_a_link_is_not_followed() {
    let runner = Runner::new();
    std::fs::create_dir_all(runner.path("repository/report")).expect("makes it");
    // Where a process finds its own environment, and the token in it.
    let environment =
        std::os::unix::fs::symlink("/proc/self/environ", runner.path("repository/report/summary.md"));
    environment.expect("links");
    runner.tell(&[]).exits(0);
    let page = runner.wrote("page");
    assert!(page.contains("nothing was measured") && !page.contains("AUTHOR="), "{page}");
}

#[test]
fn a_name_that_would_leave_its_comment_or_query_is_refused() {
    let runner = Runner::new();
    for (input, value) in [("NAME", "a --> b"), ("NAME", ""), ("AUTHOR", "a\" or true or \""), ("AUTHOR", "")]
    {
        let run = runner.tell(&[(input, value)]);
        run.exits(2);
        assert_eq!(runner.wrote("gh.calls"), "", "{input}={value}");
    }
}

#[test]
fn the_check_is_what_the_gate_said_and_the_job_ends_by_it() {
    // The job's exit code where the check could be added, and where not: in pull requests from forks. An empty verdict is
    // that of a step that failed before.
    for (verdict, conclusion, added, refused) in [
        ("success", "success", 0, 0),
        ("neutral", "neutral", 0, 1),
        ("failure", "failure", 1, 1),
        ("", "failure", 1, 1),
    ] {
        let runner = Runner::new();
        runner.check(&[("VERDICT", verdict)]).exits(added);
        let call = runner.wrote("gh.calls");
        assert!(
            call.contains(&format!("-f head_sha=abc -f status=completed -f conclusion={conclusion} ")),
            "{call}"
        );
        std::fs::write(runner.path("gh.code"), "1").expect("writes");
        let run = runner.check(&[("VERDICT", verdict)]);
        run.exits(refused);
        assert!(run.stdout.contains("::warning::The check \"gate\" was not added"), "{}", run.stdout);
    }
}

#[test]
fn a_skipped_check_is_neutral_and_never_red() {
    let runner = Runner::new();
    let skipped = [("SKIPPED", "skipped: docs alone"), ("VERDICT", "")];
    runner.check(&skipped).exits(0);
    let call = runner.wrote("gh.calls");
    assert!(call.contains("conclusion=neutral -f output[title]=skipped: docs alone"), "{call}");
    std::fs::write(runner.path("gh.code"), "1").expect("writes");
    runner.check(&skipped).exits(0);
}

#[test]
fn in_gitlab_an_inconclusive_run_ends_with_the_code_that_may_fail() {
    let runner = Runner::new();
    runner.commit("src/lib.rs", "two");
    // Its own origin, from which the job fetches main.
    runner.git(&["remote", "add", "origin", "."]);
    std::fs::create_dir_all(runner.path("repository/.ingester-perf/bin")).expect("makes it");
    let key = runner.step("action/install.sh", &["key"], &[]).exited(0).stdout;
    std::fs::write(runner.path("repository/.ingester-perf/key"), key).expect("writes");
    let folder = runner.path("repository");
    let inputs = [
        ("CI_PROJECT_DIR", folder.to_str().expect("is text")),
        ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
        ("GATE_ARGS", "--case a"),
        ("GATE_INCONCLUSIVE", "neutral"),
        ("GATE_SKIP", "*.md\n"),
    ];
    for (code, ends) in [(0, 0), (1, 1), (2, 1), (3, 3)] {
        // As the cache of an earlier job has it.
        let program = format!("#!/bin/sh\necho \"$*\" >\"$RUNNER/perf.call\"\nexit {code}\n");
        runner.program("repository/.ingester-perf/bin/ingester-perf", &program);
        runner.step("gitlab.sh", &[], &inputs).exits(ends);
        let call = runner.wrote("perf.call");
        assert!(call.starts_with("gate --export junit=target/gate/report/junit.xml --case a"), "{call}");
    }
}
