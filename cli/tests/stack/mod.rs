//! The local stack of a test.

use local::{Options, Running, start};
use tempfile::TempDir;

/// A running stack, whose data are in the folder and end with it.
pub async fn local_stack() -> (Running, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { port: 0, data: folder.path().join("data"), ephemeral: true, dynamodb: None };
    (start(options).await.unwrap(), folder)
}
