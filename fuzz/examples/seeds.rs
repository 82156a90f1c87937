//! Writes the seeds into the corpora, and sees that each still is what it was made for.

use std::fs;
use std::path::Path;

use ingester_perf_fuzz::{seeds, Seed, TARGETS};

fn main() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for Seed { target, name, bytes } in seeds() {
        let function = TARGETS.iter().find(|known| known.name == target).expect("there is such a target");
        let taken = (function.takes)(&bytes);
        assert_eq!(taken, target != "token", "{target}: the seed {name}");
        let folder = corpus.join(target);
        fs::create_dir_all(&folder).expect("can be made");
        fs::write(folder.join(format!("seed-{name}")), bytes).expect("can be written");
    }
}
