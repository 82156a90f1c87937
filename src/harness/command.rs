//! The options: those of Criterion 0.8.2, with the environment in the help.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command};

use super::CARGO;

/// The command line of this program as clap reads it.
pub fn command(program: &'static str) -> Command {
    // Values are taken as texts and checked later, in `args`: only a range or a name's rules say whether Criterion can use
    // them.
    Command::new(program)
        .about("Benchmarks of an ingester. Options are Criterion's; the ingester is the stub, unless ingester-perf.toml or INGESTER_URL says otherwise.")
        .after_help(help(program))
        .arg(Arg::new("FILTER").help("Measure only cases whose id matches this regular expression"))
        .arg(flag("exact").help("Match the filter to the letter"))
        .arg(value("save-baseline").short('s').help("Save the samples under this name [default: base]"))
        .arg(value("baseline").short('b').help("Compare with this saved baseline; every case must have it")
            .conflicts_with_all(["save-baseline", "baseline-lenient"]))
        .arg(value("baseline-lenient").help("Compare with this saved baseline where a case has it")
            .conflicts_with("save-baseline"))
        .arg(flag("discard-baseline").help("Save nothing")
            .conflicts_with_all(["save-baseline", "baseline", "baseline-lenient"]))
        .arg(value("load-baseline").help("Compare this saved baseline instead of measuring").requires("baseline")
            .conflicts_with("profile-time"))
        .arg(flag("list").help("List the cases").conflicts_with_all(["test", "profile-time"]))
        .arg(flag("test").help("Run each case once and check its outcome").conflicts_with("profile-time"))
        .arg(value("profile-time").help("Run each case for this many seconds, and draw a flame graph of it"))
        .arg(value("sample-size").help("Samples a case, 10 or more"))
        .arg(value("warm-up-time").help("Seconds of warm-up a case"))
        .arg(value("measurement-time").help("Seconds of measuring a case"))
        .arg(value("noise-threshold").help("Smallest share of change that counts"))
        .arg(value("significance-level").help("p below which a change is significant"))
        .arg(value("confidence-level").help("Confidence of the intervals"))
        .arg(value("nresamples").help("Resamples of the bootstrap"))
        .arg(flag("quick").help("Measure only until the figures settle").conflicts_with("sample-size"))
        .arg(flag("noplot").short('n').help("Draw nothing"))
        .arg(one_of("plotting-backend", &["gnuplot", "plotters"]).help("What draws"))
        .arg(one_of("color", &["auto", "always", "never"]).short('c').alias("colour").help("When to use colour"))
        .arg(one_of("output-format", &["criterion", "bencher"]).help("Format of Criterion's own output"))
        .arg(one_of("format", &["pretty", "terse"]).help("Format of the list"))
        .arg(flag("verbose").short('v').help("More figures"))
        .arg(flag("quiet").help("Only the figures").conflicts_with("verbose"))
        // Cargo passes `--bench`; the others are libtest's, which Criterion takes too, for `cargo test --benches -- ...`.
        .arg(flag("ignored").hide(true))
        .arg(flag("bench").hide(true))
        .arg(flag("nocapture").hide(true))
        .arg(flag("show-output").hide(true))
        .arg(flag("include-ignored").hide(true))
        .arg(flag("version").short('V').hide(true))
}

/// An option that is given or not.
fn flag(name: &'static str) -> Arg {
    Arg::new(name).long(name).num_args(0).action(ArgAction::SetTrue)
}

/// An option with a value.
fn value(name: &'static str) -> Arg {
    Arg::new(name).long(name).num_args(1)
}

/// An option whose value is one of these.
fn one_of(name: &'static str, values: &'static [&'static str]) -> Arg {
    value(name).value_parser(PossibleValuesParser::new(values))
}

/// Examples and variables, with this program's name. Cargo wants `--` before the options, and selects by bench where every
/// other program selects by filter.
fn help(program: &str) -> String {
    if program == CARGO {
        return HELP.to_owned();
    }
    // The longer texts first: each of them contains the next one.
    let uploads = format!("{program} upload/");
    HELP.replace("cargo bench --bench upload", &uploads)
        .replace(CARGO, program)
        .replace("cargo bench", program)
}

const HELP: &str = "\
Examples:
  cargo bench                                  everything
  cargo bench -- 10MB                          what matches 10MB
  cargo bench -- --save-baseline main          save the samples as main
  cargo bench -- --baseline main               compare with them
  cargo bench -- --profile-time 5 10MB         draw where the CPU time goes
  INGESTER_URL=http://127.0.0.1:8020 INGESTER_TOKEN_FILE=token cargo bench --bench upload

Environment:
  INGESTER_CONFIG         file that says what is measured [ingester-perf.toml, in this folder or above it]
  INGESTER_URL            a running ingester; needs one of the next four
  INGESTER_TOKEN_FILE     file with a bearer token
  INGESTER_TOKEN          a bearer token
  INGESTER_PRIVATE_KEY    RSA private key to mint tokens with: a file, or the PEM text
  INGESTER_TOKEN_URL      route that gives tokens for INGESTER_CLIENT_ID and INGESTER_CLIENT_SECRET
  INGESTER_TIMEOUT        time limit of one upload; what a simulated network takes for it comes on top [30s]
  INGESTER_MAX_BYTES      most bytes sent in one run to what keeps them: a real ingester, a stub with INGESTER_STORAGE [2GB]
  INGESTER_PLACEMENT      split: client and stub on cores of their own; none [split]
  INGESTER_NETWORK        simulated network: slow-3g, lossy, 3g, dsl, 4g, lte, or RTT,UP,DOWN[,JITTER[,LOSS]] like
                          100ms,1mbit,10mbit (docs/network.md) [none]
  INGESTER_STORAGE        where the stub stores files: dir:PATH, s3://bucket/prefix, element:URL; several with spaces [discard]
  INGESTER_ELEMENT_TOKEN_FILE  file with a token for element:URL
  INGESTER_REPORT_DIR     where reports and their page go [target/performance_reports]
  INGESTER_TARGETS        the limits [baseline/targets.toml]
  INGESTER_FAULTS         faults of the stub in this process, like \"delay=50ms,share=10% reset,share=1%\"
  INGESTER_EVEN_IF_FAILING  1: measure though both uploads of the look before failed alike

Exit codes: 0 held, 1 a target was missed, 2 could not measure, 130 and 143 interrupted.";
