//! Runs every target on its seeds.

use std::fs;
use std::path::{Path, PathBuf};

use fuzz::{TARGETS, Target};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn seeds(target: &Target) -> Vec<PathBuf> {
    let own = format!("fuzz/seeds/{}", target.name);
    let folders = target.recorded.iter().copied().chain([own.as_str()]);
    let files = folders.flat_map(|folder| fs::read_dir(root().join(folder)).expect(folder));
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    files
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    let seeds = seeds(target);
    assert!(seeds.len() > 5, "{name} has too few seeds");
    for seed in seeds {
        // On failure the last name printed is the seed that failed.
        println!("{}", seed.display());
        (target.run)(&fs::read(&seed).expect("a seed"));
    }
}

macro_rules! replayed {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*

        #[test]
        fn every_target_is_replayed() {
            let replayed = [$(stringify!($name)),*];
            assert!(TARGETS.iter().all(|target| replayed.contains(&target.name)));
            for name in replayed {
                assert!(root().join(format!("fuzz/fuzz_targets/{name}.rs")).is_file());
            }
        }
    };
}

/// More headers than a `HeaderMap` can hold, which is too long for a seed.
#[test]
fn an_event_with_forty_thousand_headers_gets_a_response() {
    let headers: Vec<_> = (0..40_000).map(|number| format!(r#""x-{number}":"""#)).collect();
    for (name, seed) in
        [("request", "events/token/basic.json"), ("event", "events/authorizer/http_v2_bearer.json")]
    {
        let seed = fs::read_to_string(root().join(seed)).expect("a seed");
        let event = seed.replace(r#""headers": {"#, &format!(r#""headers": {{{},"#, headers.join(",")));
        assert!(event.len() > seed.len());
        let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
        (target.run)(event.as_bytes());
    }
}

replayed!(access_token api_key basic event form json_body jwks proof request template);
