//! The binaries: built as they are deployed, and how large they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use miniz_oxide::deflate::compress_to_vec;

/// What zip does by itself.
const DEFLATE_LEVEL: u8 = 6;

/// A built binary.
#[derive(Clone)]
pub struct Artifact {
    pub path: PathBuf,
    /// In bytes.
    pub size: u64,
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
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--package", package, "--profile", profile])
        .current_dir(root())
        .status()?;
    ensure!(status.success(), "{package} does not build");
    Ok(())
}

/// The local stack's program, built for this.
pub fn latchkey() -> anyhow::Result<PathBuf> {
    build("latchkey", "dev")?;
    Ok(target().join("debug/latchkey"))
}

/// The same, as fast as it can be had without the wait for the smallest binary.
pub fn fast_latchkey() -> anyhow::Result<PathBuf> {
    build("latchkey", "load")?;
    Ok(target().join("load/latchkey"))
}

impl Artifact {
    /// A binary that was built for release.
    pub fn of(name: &str) -> anyhow::Result<Self> {
        let path = target().join("release").join(name);
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        let zipped = compress_to_vec(&bytes, DEFLATE_LEVEL).len();
        Ok(Self { path, size: bytes.len().try_into()?, zipped: zipped.try_into()? })
    }
}
