//! What `ingester-perf init` writes.

/// A file with a comment on every key. As it stands, it is for a service that listens on a port that it is told.
pub const TEMPLATE: &str = r#"# How to build, start and speak to the service that is measured.
# All keys, and the variables that stand above them: docs/own-service.md of ingester-perf.

[service]
# Run in the folder of this file, by the shell. Leave `build` out where nothing has to be built.
# build = "pip install --quiet --target deps -r requirements.txt"
# {port} and $PORT: where to listen. {dir}: a fresh folder, removed afterwards. {public_key}: a PEM file with the key whose
# tokens (RS256) are valid.
serve = "python3 -m uvicorn app:app --host 127.0.0.1 --port {port} --no-access-log"
# A path that answers 2xx once the service is ready; without it, a connection is enough.
# ready = "/health"
# ready_timeout = "30s"
# What the gate needs of the folder once it is built; all of it, unless told otherwise.
# keep = ["app.py", "deps"]

[api]
method = "POST"
path = "/upload"           # {uuid} and {name} (of the file) may stand in it
body = "multipart"         # or "raw": the file's bytes alone
file_field = "file"
# fields = { note = "performance test" }
# headers = { X-Api-Key = "${API_KEY}" }     # from the environment, and never printed
token = "none"             # or the header that carries it, like "Authorization"
success = [200, 201]
# Where an answer says what was stored, as JSON pointers; what is not said is not checked.
# size = "/size"
# checksum = "/sha256"     # or "header:ETag"; checksum_algorithm = "md5", checksum_encoding = "base64"
# id = "/id"

# How an upload is removed after the run.
# [cleanup]
# method = "DELETE"
# path = "/files/{id}"

# What follows an upload, for `ingester-perf load --flow`: each step is timed (docs/flow.md).
# [[flow.step]]
# name = "upload"
# [[flow.step]]
# name = "ready"
# path = "/files/{id}/status"
# until = { pointer = "/status", equals = "done" }
# [[flow.step]]
# name = "download"
# path = "/files/{id}"
# compare = true           # with what was sent

# What is measured; without a [[case]]: 10 KB, 1 MB and 10 MB, and 10 and 50 users.
# [[case]]
# group = "upload"
# name = "100KB"
# file_size = "100KB"

# What a figure has to hold.
# [targets.upload_100KB]
# p95_ms = 50
"#;
