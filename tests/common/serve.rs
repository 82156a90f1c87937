//! `ingester-perf serve`, as a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use tempfile::TempDir;

/// The stub as a process.
pub struct Serve {
    pub child: Child,
    pub address: String,
    pub token: String,
    pub stderr: BufReader<std::process::ChildStderr>,
}

impl Serve {
    pub fn start() -> Self {
        Self::with(&[])
    }

    pub fn with(args: &[&str]) -> Self {
        Self::with_env(args, &[])
    }

    /// With these variables beside those of the test.
    pub fn with_env(args: &[&str], env: &[(&str, &str)]) -> Self {
        Self::running(Command::new(env!("CARGO_BIN_EXE_ingester-perf")), args, env)
    }

    /// The same stub in the program whose allocator counts.
    pub fn counting(args: &[&str]) -> Self {
        Self::running(Command::new(env!("CARGO_BIN_EXE_ingester-perf-counting")), args, &[])
    }

    /// With a limit of open descriptors that it cannot raise.
    pub fn with_descriptors(most: u32) -> Self {
        let mut shell = Command::new("sh");
        // `exec` keeps the process: signals and its end reach the stub itself. `$0` is what follows the script.
        shell.args(["-c", &format!("ulimit -n {most} && exec \"$0\" \"$@\"")]);
        shell.arg(env!("CARGO_BIN_EXE_ingester-perf"));
        Self::running(shell, &[], &[])
    }

    fn running(mut command: Command, args: &[&str], env: &[(&str, &str)]) -> Self {
        // Port 0: the system picks one that is free, and the first line on standard error names it.
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--print-token"])
            .args(args)
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("is piped"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("says where it listens");
        let address =
            line.split("http://").nth(1).and_then(|rest| rest.split(';').next()).expect(&line).to_owned();
        let mut token = String::new();
        BufReader::new(child.stdout.take().expect("is piped")).read_line(&mut token).expect("prints a token");
        // The reader is kept: it may have taken more than one line out of the pipe.
        Self { child, address, token: token.trim().to_owned(), stderr }
    }

    /// Peak of its resident memory so far, in KB.
    pub fn peak_kb(&self) -> u64 {
        // The kernel's own high-water mark (proc(5)): a short peak between two looks would be missed.
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("Linux tells");
        line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("is a number")
    }

    /// Uploads a file of `size` bytes without holding it in memory. Returns the answer's status.
    pub fn upload(&self, size: u64) -> String {
        let head = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"big\"\r\n\r\n";
        let tail = "\r\n--b--\r\n";
        let length = head.len() as u64 + size + tail.len() as u64;
        let mut stream = TcpStream::connect(&self.address).expect("connects");
        write!(
            stream,
            "POST /api/v1/files/upload HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n{head}",
            self.address, self.token
        )
        .expect("sends");
        let sent = std::io::copy(&mut std::io::repeat(b'x').take(size), &mut stream);
        // A refusal may come while it is still sending, and ends that; the answer is there to be read all the same.
        if sent.is_ok() {
            let _ = stream.write_all(tail.as_bytes());
        }
        let mut status = String::new();
        BufReader::new(stream).read_line(&mut status).expect("answers");
        status.split(' ').nth(1).expect("has a status").to_owned()
    }

    /// Ends it as Ctrl-C does. Returns its exit code and what it still had to say.
    pub fn interrupt(mut self) -> (Option<i32>, String) {
        let killed = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(killed.expect("kill exists").success());
        let code = self.child.wait().expect("ends").code();
        let mut last = String::new();
        self.stderr.read_to_string(&mut last).expect("is text");
        (code, last)
    }
}

impl Drop for Serve {
    /// Nothing is left of it where a test fails.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes an RSA key in a PEM file. Returns its path.
pub fn key_file(dir: &TempDir, name: &str) -> String {
    // The shortest that RS256 allows (RFC 7518, section 3.3), and so the quickest to make.
    let key = rsa::PrivateKey::new(&mut rand::rng(), 2048).expect("makes a key");
    let path = dir.path().join(name);
    let pem = key.to_pkcs8_pem(LineEnding::LF).expect("encodes");
    std::fs::write(&path, pem.as_bytes()).expect("can be written");
    path.to_str().expect("is UTF-8").to_owned()
}
