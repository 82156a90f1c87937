//! Who is told of a load while it runs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use crate::Error;
use crate::baseline::{Side, criterion_home};
use crate::case::Suite;
use crate::live::{BaselineLatency, BoundLive, LiveOptions, PushTarget};

/// Who is told while it runs.
#[derive(clap::Args)]
#[command(next_help_heading = "While it runs")]
pub struct LiveArgs {
    /// Serve a page at this address that shows the run and renews itself every second, like 127.0.0.1:8099; loopback only,
    /// port 0 picks a free one (docs/live.md)
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    live: Option<SocketAddr>,
    /// Serve metrics for Prometheus at this address, like 127.0.0.1:9464: http://ADDRESS/metrics
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    metrics_addr: Option<SocketAddr>,
    /// Push the same metrics every 5 s, and at the end, by Prometheus' remote write, to a URL like
    /// http://127.0.0.1:9090/api/v1/write
    // Read later: clap would quote what it cannot read, and there may be a password in it.
    #[arg(long, value_name = "URL")]
    push_url: Option<String>,
    /// Report of an earlier run (or a saved baseline), whose percentiles are shown and told beside those of this one
    #[arg(long, value_name = "REPORT")]
    baseline: Option<String>,
}

impl LiveArgs {
    /// An error where a process that starts shards is to tell of them: each of them knows its own part only, until all have
    /// ended.
    pub fn check_not_of_all_shards(&self) -> Result<(), Error> {
        let given = [
            ("--live", self.live.is_some()),
            ("--metrics-addr", self.metrics_addr.is_some()),
            ("--push-url", self.push_url.is_some()),
            ("--baseline", self.baseline.is_some()),
        ];
        for (name, is_given) in given {
            if is_given {
                let problem = "is for a single generator, and --shards N starts several; leave it out, or start each with --shard I/N \
                               and an address of its own";
                return Err(Error::Setting { name, problem: problem.to_owned() });
            }
        }
        Ok(())
    }

    /// Binds the addresses, before anything is measured. `None` where nobody is to be told.
    pub fn bind(&self) -> Result<Option<BoundLive>, Error> {
        let mut push = None;
        if let Some(url) = &self.push_url {
            let target = PushTarget::parse(url);
            push = Some(target.map_err(|problem| Error::Setting { name: "--push-url", problem })?);
        }
        let bound = BoundLive::bind(LiveOptions { page: self.live, metrics: self.metrics_addr, push })?;
        if bound.is_none() && self.baseline.is_some() {
            let problem = "is shown beside a run while it goes on; add --live, --metrics-addr or --push-url";
            return Err(wrong(problem.to_owned()));
        }
        Ok(bound)
    }

    /// The percentiles of the earlier run of this operation, if one is named.
    pub fn baseline(
        &self,
        operation: &str,
        suite: &Suite,
        reports: &Path,
    ) -> Result<Option<BaselineLatency>, Error> {
        let Some(given) = &self.baseline else { return Ok(None) };
        let side = Side::read(given, suite, &criterion_home(), reports)?;
        let cases = side.figures(false);
        // An operation of the suite stands under the id of its case, any other under its own name.
        let of_suite = suite.of_operation(operation).map(|spec| spec.id());
        let wanted = of_suite.as_deref().unwrap_or(operation);
        let mut names = Vec::new();
        for (name, figures) in &cases {
            // One report is the one that is meant, whatever it was called.
            if name == wanted || cases.len() == 1 {
                return Ok(Some(BaselineLatency {
                    name: side.name.clone(),
                    p50_ms: figures.p50_ms,
                    p95_ms: figures.p95_ms,
                    p99_ms: figures.p99_ms,
                }));
            }
            names.push(name.as_str());
        }
        Err(wrong(format!(
            "{given} has nothing of {wanted}, but of {}; name one report, or call this run like one of them with --name",
            names.join(", ")
        )))
    }
}

fn wrong(problem: String) -> Error {
    Error::Setting { name: "--baseline", problem }
}

/// An address with its port. `localhost` is that of loopback, as it is for a browser.
fn address(text: &str) -> Result<SocketAddr, String> {
    let address = match text.split_once(':') {
        Some(("localhost", port)) => {
            port.parse().ok().map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
        }
        _ => text.parse().ok(),
    };
    address.ok_or_else(|| "write an IP address and a port, like 127.0.0.1:8099".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port_and_localhost_is_one() {
        for (text, read) in [
            ("localhost:8099", "127.0.0.1:8099"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("[::1]:8099", "[::1]:8099"),
        ] {
            assert_eq!(address(text).expect(text).to_string(), read);
        }
        for text in ["8099", "127.0.0.1", "localhost", "localhost:x", "host:8099", ""] {
            assert!(address(text).expect_err(text).contains("127.0.0.1:8099"), "{text}");
        }
    }
}
