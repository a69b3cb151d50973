//! The binaries: built as they are deployed, and how large they are.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use miniz_oxide::deflate::compress_to_vec;

/// What zip does by itself.
const DEFLATE_LEVEL: u8 = 6;

/// A built binary.
pub struct Artifact {
    pub path: PathBuf,
    /// What it adds to a deployment package, in bytes.
    pub zipped: u64,
}

/// The workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where what is built goes.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Builds a package by itself, so that nobody else's features get into it.
pub fn build(package: &str, profile: &str) -> anyhow::Result<()> {
    eprintln!("building {package} ({profile})");
    cargo_build(&["--package", package, "--profile", profile])
}

/// The local stack's program, built for this.
pub fn latchkey() -> anyhow::Result<PathBuf> {
    eprintln!("building latchkey");
    cargo_build(&["--package", "latchkey"])?;
    Ok(target().join("debug/latchkey"))
}

/// The same, as fast as it can be had without the wait for the smallest binary.
pub fn fast_latchkey() -> anyhow::Result<PathBuf> {
    build("latchkey", "load")?;
    Ok(target().join("load/latchkey"))
}

fn cargo_build(arguments: &[&str]) -> anyhow::Result<()> {
    let mut cargo = Command::new(env!("CARGO"));
    let status = cargo.args(["build", "--quiet", "--locked"]).args(arguments).current_dir(root()).status()?;
    ensure!(status.success(), "cargo build {} failed", arguments.join(" "));
    Ok(())
}

impl Artifact {
    /// A binary that was built for release: a copy, written in one go as when a package is unpacked. A process that
    /// starts from what the linker wrote, bit by bit, takes a twenty-fifth more CPU.
    pub fn of(name: &str) -> anyhow::Result<Self> {
        let built = target().join("release").join(name);
        let bytes = fs::read(&built).with_context(|| built.display().to_string())?;
        let folder = target().join("bench");
        fs::create_dir_all(&folder)?;
        let path = folder.join(name);
        // Whoever still runs the last one keeps it.
        fs::remove_file(&path).or_else(|error| match error.kind() {
            ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        fs::write(&path, &bytes)?;
        fs::set_permissions(&path, fs::metadata(&built)?.permissions())?;
        let zipped = compress_to_vec(&bytes, DEFLATE_LEVEL).len();
        Ok(Self { path, zipped: zipped.try_into()? })
    }
}
