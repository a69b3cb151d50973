//! Architecture rules: the direction of imports, the crates of each function, and the tests that docs/security-tests.md names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folders of `shared`, from the top. A folder imports only folders below it.
const FOLDERS: [&str; 12] = [
    "grants",
    "federation",
    "passwords",
    "sessions",
    "signing",
    "clients",
    "trust",
    "store",
    "runtime",
    "oauth",
    "jose",
    "identity",
];

/// Crates that must not be in the dependency tree of a function.
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

/// Crates that no function may link: the command line's, HTTP/2, the system's certificates, and other crypto libraries.
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
    let level = |folder: &str| FOLDERS.iter().position(|known| *known == folder);
    let mut folders = BTreeSet::new();
    for file in rust_files(&source) {
        let name = file.strip_prefix(&source).unwrap().to_str().unwrap();
        let Some((folder, _)) = name.split_once('/') else { continue };
        let own = level(folder).unwrap_or_else(|| panic!("{folder} is not in FOLDERS"));
        folders.insert(folder.to_owned());
        for import in fs::read_to_string(&file).unwrap().split("crate::").skip(1) {
            let end = import.find(|character: char| !character.is_alphanumeric() && character != '_');
            let imported = &import[..end.unwrap_or(import.len())];
            assert!(level(imported).is_some_and(|level| level >= own), "{name} imports {imported}");
        }
    }
    assert_eq!(folders.len(), FOLDERS.len());
}

#[test]
fn features_of_shared_select_whole_folders() {
    let source = root().join("shared/src");
    for file in rust_files(&source) {
        let text = fs::read_to_string(&file).unwrap();
        let is_root = file.file_name().is_some_and(|name| name == "lib.rs");
        // `cfg_attr(feature = "openapi", …)` stays where the types are.
        assert!(is_root || !text.contains("cfg(feature") && !text.contains("cfg(all(feature"), "{file:?}");
    }
}

/// The crates that a crate of the workspace links, including itself.
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
fn functions_link_no_forbidden_crate() {
    for (name, forbidden) in FORBIDDEN {
        let crates = linked(name);
        for unwanted in forbidden.iter().chain(&FORBIDDEN_EVERYWHERE) {
            assert!(!crates.contains(*unwanted), "{name} links {unwanted}");
        }
        // Only `docs` has the OpenAPI document.
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
