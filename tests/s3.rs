//! Promise: what the stub says it has stored in an object store is there, with its record and its checksum; what
//! breaks off leaves nothing. The object store is a real S3 server, started here.

#![cfg(all(feature = "s3-test", target_os = "linux"))]

mod common;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use common::form::{Answer, Upload, sha256, within_five_seconds};
use common::load::Load;
use common::serve::Serve;
use common::server::{Manner, Server};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3ServiceBuilder, SharedS3Service};
use s3s_fs::FileSystem;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// What the server takes for credentials.
const KEY: &str = "AKIAEXAMPLE";
const SECRET: &str = "a-secret-of-the-test";

/// An S3 server with one bucket, `bucket`, whose objects are files in a folder. Its thread ends with the process.
struct S3 {
    root: TempDir,
    endpoint: String,
}

impl S3 {
    fn start() -> Self {
        let root = TempDir::new().expect("makes one");
        std::fs::create_dir(root.path().join("bucket")).expect("makes it");
        let mut builder = S3ServiceBuilder::new(FileSystem::new(root.path()).expect("is a folder"));
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build().into_shared();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address: SocketAddr = listener.local_addr().expect("is bound");
        listener.set_nonblocking(true).expect("can be set");
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
            runtime.block_on(serve(listener, service));
        });
        Self { root, endpoint: format!("http://{address}") }
    }

    /// The stub, storing under a prefix of the bucket with this secret.
    fn stub(&self, secret: &str) -> Serve {
        stub_at(&self.endpoint, secret)
    }

    fn objects(&self) -> PathBuf {
        self.root.path().join("bucket/some/prefix")
    }

    /// Names of the objects, sorted.
    fn names(&self) -> Vec<String> {
        sorted_names(&self.objects())
    }

    /// What the server keeps of multipart uploads that are neither complete nor aborted.
    fn unfinished(&self) -> Vec<String> {
        let mut names = sorted_names(self.root.path());
        names.retain(|name| name.starts_with(".upload"));
        names
    }
}

fn stub_at(endpoint: &str, secret: &str) -> Serve {
    Serve::with_env(
        &["--storage", "s3://bucket/some/prefix"],
        &[
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", endpoint),
        ],
    )
}

fn sorted_names(dir: &Path) -> Vec<String> {
    // A prefix is a folder here, and comes with its first object.
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("can be read").file_name().into_string().expect("is UTF-8"))
        .collect();
    names.sort_unstable();
    names
}

async fn serve(listener: std::net::TcpListener, service: SharedS3Service) {
    let listener = TcpListener::from_std(listener).expect("fits a running event loop");
    loop {
        let (stream, _) = listener.accept().await.expect("accepts");
        let service = service.clone();
        tokio::spawn(async move {
            // How a connection ends is for its client to say.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Id of a file that was stored.
fn id(answer: &Answer) -> String {
    assert_eq!(answer.status, 201, "{}", answer.json);
    answer.json["file_id"].as_str().expect("has an id").to_owned()
}

#[test]
fn small_and_large_files_are_stored_with_their_records() {
    let s3 = S3::start();
    let serve = s3.stub(SECRET);
    // The first is one object, the second takes two parts of 8 MB (`PART` in `stub/storage/object.rs`).
    for content in [b"abc".to_vec(), (0..12_000_000_u32).map(|i| (i % 251) as u8).collect()] {
        let answer = Upload::of(&content).send(&serve);
        let id = id(&answer);
        assert_eq!(answer.json["storage_element_id"], "s3-1");
        assert_eq!(answer.json["storage_element_url"], "s3://bucket/some/prefix");
        assert_eq!(answer.json["checksum"], sha256(&content).as_str());
        assert_eq!(s3.names(), [id.clone(), format!("{id}.json")]);
        let stored = std::fs::read(s3.objects().join(&id)).expect("is there");
        assert_eq!((stored.len(), sha256(&stored)), (content.len(), sha256(&content)));
        let record = std::fs::read(s3.objects().join(format!("{id}.json"))).expect("is there");
        let record: Value = serde_json::from_slice(&record).expect("is JSON");
        assert_eq!((&record["id"], &record["sha256"]), (&id.as_str().into(), &sha256(&content).into()));
        assert_eq!(record["original_filename"], "a.txt");
        for name in s3.names() {
            std::fs::remove_file(s3.objects().join(name)).expect("removes");
        }
    }
    assert_eq!(s3.unfinished(), Vec::<String>::new());
    assert!(serve.interrupt().1.contains("Took in 2 files"));
}

#[test]
fn an_upload_that_breaks_off_leaves_no_object_and_no_parts() {
    let s3 = S3::start();
    let serve = s3.stub(SECRET);
    let content = vec![b'x'; 20_000_000];
    // Behind the first part, and behind the second.
    for bytes in [10_000_000, 18_000_000] {
        let answer = Upload::of(&content).send_cut(&serve, bytes, true).expect("answers");
        assert_eq!(answer.status, 400);
        within_five_seconds("parts are left", || s3.unfinished().is_empty());
        assert_eq!(s3.names(), Vec::<String>::new());
    }
    // The stub is as it was before.
    id(&Upload::of(b"abc").send(&serve));
    serve.interrupt();
}

#[test]
fn a_refusal_is_502_with_its_code_and_without_what_was_signed() {
    let s3 = S3::start();
    let serve = s3.stub("another-secret");
    let answer = Upload::of(b"abc").send(&serve);
    assert_eq!(answer.status, 502);
    assert_eq!(answer.json["detail"], "Storage element failed");
    assert_eq!(s3.names(), Vec::<String>::new());
    // The operator is told why, and the answer does not say it.
    let (_, said) = serve.interrupt();
    assert!(said.contains("s3-1: it answered 403 Forbidden (SignatureDoesNotMatch)\n"), "{said}");
}

#[test]
fn a_server_that_is_gone_is_502() {
    // Nobody listens at port 9 (discard).
    let serve = stub_at("http://127.0.0.1:9", SECRET);
    let answer = Upload::of(b"abc").send(&serve);
    assert_eq!(answer.status, 502);
    let (_, said) = serve.interrupt();
    assert!(said.contains("s3-1: ") && said.contains("Connection refused"), "{said}");
}

#[test]
fn run_files_of_shards_go_to_an_object_store_and_are_merged_from_there() {
    let s3 = S3::start();
    let server = Server::start(Manner::Python);
    let args =
        ["--users", "4", "--requests", "20", "--file-size", "1KB", "--shards", "2", "--start-at", "+2s"];
    let load = Load::against(&server.url(), &[&args[..], &["--out", "s3://bucket/some/prefix"]].concat())
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ENDPOINT_URL", s3.endpoint.as_str());
    let run = load.run();
    // 3 where a generator was late, beside other tests.
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.output());
    assert_eq!(load.report()["load"]["scheduled"], 20, "{}", run.output());
    let names = s3.names();
    assert!(
        names.len() == 2 && names[0].starts_with("load.shard-0-of-2.") && names[1].ends_with(".run.json"),
        "{names:?}"
    );
}
