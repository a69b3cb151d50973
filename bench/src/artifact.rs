//! Binaries, built as for a deployment, and their sizes.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use miniz_oxide::deflate::compress_to_vec;

/// zip's default.
const DEFLATE_LEVEL: u8 = 6;

/// A built binary.
pub struct Artifact {
    /// Its path.
    pub path: PathBuf,
    /// The size in a deployment package, in bytes.
    pub zipped: u64,
}

/// The workspace's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Cargo's target folder.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Builds a single package, so that Cargo unifies no features of others.
pub fn build(package: &str, profile: &str) -> anyhow::Result<()> {
    eprintln!("building {package} ({profile})");
    cargo_build(&["--package", package, "--profile", profile])
}

/// Builds the command line, which runs the local stack.
pub fn latchkey() -> anyhow::Result<PathBuf> {
    eprintln!("building latchkey");
    cargo_build(&["--package", "latchkey"])?;
    Ok(target().join("debug/latchkey"))
}

/// Builds the command line with the optimized profile `load`.
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
    /// A release binary, copied in one write as when a package is unpacked. A process takes 4 % more CPU time to start
    /// from the file that the linker wrote piecewise.
    pub fn of(name: &str) -> anyhow::Result<Self> {
        let built = target().join("release").join(name);
        let bytes = fs::read(&built).with_context(|| built.display().to_string())?;
        let folder = target().join("bench");
        fs::create_dir_all(&folder)?;
        let path = folder.join(name);
        // Removed and not overwritten, because a process may still run it.
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
