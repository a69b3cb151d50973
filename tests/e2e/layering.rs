//! The house holds together: imports run one way, and a function links only what it may use.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folders of `shared` and what each may import, itself apart.
const LAYERS: [(&str, &[&str]); 12] = [
    ("clock", &[]),
    ("wire", &[]),
    ("identity", &[]),
    ("bounded", &[]),
    ("cache", &[]),
    ("https", &[]),
    ("config", &["wire"]),
    ("telemetry", &["config"]),
    ("aws", &["config", "https"]),
    ("token", &["wire", "identity", "config", "cache", "clock", "https", "aws"]),
    ("store", &["wire", "identity", "config", "bounded", "cache", "clock", "token"]),
    (
        "grants",
        &["wire", "identity", "config", "bounded", "cache", "clock", "aws", "telemetry", "token", "store"],
    ),
];

/// What each function has no business with: crates that must not be in its dependency tree.
const FORBIDDEN: [(&str, &[&str]); 10] = [
    ("authorizer", &["aws-sdk-secretsmanager", "argon2", "bcrypt", "webpki-roots"]),
    ("discovery", &["aws-sdk-secretsmanager", "argon2", "bcrypt"]),
    ("revoke", &["aws-sdk-secretsmanager", "argon2", "bcrypt"]),
    ("introspect", &["aws-sdk-secretsmanager", "argon2", "bcrypt"]),
    ("rotation", &["argon2", "bcrypt", "webpki-roots"]),
    ("docs", &["aws-sdk-secretsmanager", "argon2", "bcrypt", "utoipa-swagger-ui-vendored"]),
    ("whoami", &["aws-sdk-secretsmanager", "argon2", "bcrypt"]),
    ("token", &["argon2", "bcrypt"]),
    ("google", &["argon2", "bcrypt"]),
    ("login", &["webpki-roots"]),
];

/// What no function may link: the laptop's side, HTTP/2, the system's certificates, and crypto that isn't ours.
const FORBIDDEN_EVERYWHERE: [&str; 11] = [
    "aws-config",
    "clap",
    "axum",
    "rusqlite",
    "dynoxide-rs",
    "winterbaume-core",
    "h2",
    "rustls-native-certs",
    "ring",
    "rsa",
    "openssl",
];

/// The local stack, what it is made of, and the crates that link it.
const LOCAL_STACK: [&str; 8] = [
    "local",
    "latchkey",
    "test_support",
    "axum",
    "rusqlite",
    "dynoxide-rs",
    "winterbaume-core",
    "winterbaume-secretsmanager",
];

/// The crates beside the functions, and those that each must not link, tests included.
const ABOVE: [(&str, &[&str]); 5] = [
    ("shared", &["sam-template", "local", "test_support", "latchkey"]),
    ("sam-template", &["shared", "local", "test_support", "latchkey"]),
    ("local", &["test_support", "latchkey"]),
    ("test_support", &["latchkey"]),
    ("latchkey", &["test_support"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn imports_in_shared_run_one_way() {
    let source = root().join("shared/src");
    let mut layers = BTreeSet::new();
    for file in rust_files(&source) {
        let name = file.strip_prefix(&source).unwrap().to_str().unwrap();
        let layer = name.split(['/', '.']).next().unwrap();
        if layer == "lib" {
            continue;
        }
        layers.insert(layer.to_owned());
        let (_, allowed) = LAYERS.iter().find(|(known, _)| *known == layer).expect(layer);
        for import in fs::read_to_string(&file).unwrap().split("crate::").skip(1) {
            let imported = import
                .split(|character: char| !character.is_alphanumeric() && character != '_')
                .next()
                .unwrap();
            assert!(imported == layer || allowed.contains(&imported), "{name} imports {imported}");
        }
    }
    assert_eq!(layers.len(), LAYERS.len());
}

/// The crates that a crate of the workspace links, itself among them.
fn linked(name: &str) -> BTreeSet<String> {
    tree(name, "normal")
}

/// The same, and what its own tests link.
fn linked_in_tests(name: &str) -> BTreeSet<String> {
    tree(name, "normal,dev")
}

fn tree(name: &str, edges: &str) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "-p", name])
        .args(["-e", edges, "--prefix", "none", "-f", "{p}"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let crates: BTreeSet<String> =
        tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    assert!(crates.contains(name), "{tree}");
    crates
}

#[test]
fn functions_never_import_each_other() {
    let names: Vec<&str> = FORBIDDEN.iter().map(|(name, _)| *name).collect();
    for name in &names {
        let crates = linked_in_tests(name);
        for other in names.iter().filter(|other| *other != name) {
            assert!(!crates.contains(*other), "{name} links {other}");
        }
    }
    assert_eq!(fs::read_dir(root().join("functions")).unwrap().count(), names.len());
}

#[test]
fn the_tests_of_a_function_build_without_the_local_stack() {
    for (name, _) in FORBIDDEN {
        let crates = linked_in_tests(name);
        for unwanted in LOCAL_STACK {
            assert!(!crates.contains(unwanted), "the tests of {name} link {unwanted}");
        }
    }
}

#[test]
fn no_crate_links_what_depends_on_it() {
    for (name, above) in ABOVE {
        let crates = linked_in_tests(name);
        for unwanted in above {
            assert!(!crates.contains(*unwanted), "{name} links {unwanted}");
        }
    }
}

#[test]
fn a_function_links_only_what_it_may_use() {
    for (name, forbidden) in FORBIDDEN {
        let crates = linked(name);
        for unwanted in forbidden.iter().chain(&FORBIDDEN_EVERYWHERE) {
            assert!(!crates.contains(*unwanted), "{name} links {unwanted}");
        }
        // Only one function describes what the others read and write.
        assert_eq!(crates.contains("utoipa"), name == "docs", "{name}");
    }
}

/// The names of the tests of a source file.
fn tests_of(source: &str) -> impl Iterator<Item = &str> {
    ["#[test]", "#[tokio::test"]
        .into_iter()
        .flat_map(move |attribute| source.split(attribute).skip(1))
        .filter_map(|item| Some(item.split_once("fn ")?.1.split_once('(')?.0))
}

/// Every test that `docs/security-tests.md` names exists.
#[test]
fn the_security_tests_that_are_named_exist() {
    let mut tests = BTreeSet::new();
    for entry in fs::read_dir(root()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() && name != "target" && !name.starts_with('.') {
            for file in rust_files(&entry.path()) {
                tests.extend(tests_of(&fs::read_to_string(file).unwrap()).map(str::to_owned));
            }
        }
    }
    let document = fs::read_to_string(root().join("docs/security-tests.md")).unwrap();
    let rows = document.lines().filter_map(|line| line.split_once(" | "));
    let named: BTreeSet<&str> = rows.flat_map(|(_, names)| names.split('`').skip(1).step_by(2)).collect();
    let missing: Vec<&&str> = named.iter().filter(|name| !tests.contains(**name)).collect();
    assert!(missing.is_empty(), "docs/security-tests.md names tests that do not exist: {missing:#?}");
    assert!(named.len() > 150, "{}", named.len());
}
