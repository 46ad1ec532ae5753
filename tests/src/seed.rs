//! People who are registered already. Registering takes a moment, so the real programs do it once in a run, and
//! each world with people gets a copy of all files.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Result, anyhow};

use crate::world::World;

/// The registered people. None of them has posted anything.
pub const PEOPLE: [&str; 3] = ["anna", "erik", "sam"];

/// A folder, or a file with its bytes.
struct Kept {
    path: PathBuf,
    mode: u32,
    bytes: Option<Vec<u8>>,
}

static SEED: OnceLock<Result<Vec<Kept>, String>> = OnceLock::new();

/// Copies the seed into an empty folder.
pub(crate) fn plant(folder: &Path) -> Result<()> {
    let seed = SEED.get_or_init(|| grow().map_err(|error| format!("{error:?}")));
    for kept in seed.as_ref().map_err(|error| anyhow!("the seed: {error}"))? {
        let path = folder.join(&kept.path);
        match &kept.bytes {
            None => DirBuilder::new().mode(0o700).create(&path)?,
            Some(bytes) => {
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?.write_all(bytes)?;
            }
        }
        std::fs::set_permissions(&path, Permissions::from_mode(kept.mode))?;
    }
    Ok(())
}

fn grow() -> Result<Vec<Kept>> {
    let mut world = World::new()?;
    // One after the other: on a machine that is very busy, three at once would take longer than clients wait.
    for name in PEOPLE {
        world.registered(name)?.leave()?;
    }
    world.stop_server()?;
    world.stop_ttp()?;
    let mut kept = Vec::new();
    collect(world.folder(), Path::new(""), &mut kept)?;
    Ok(kept)
}

/// Collects the contents of a folder, each folder before its files. Sockets are left out.
fn collect(root: &Path, folder: &Path, kept: &mut Vec<Kept>) -> Result<()> {
    for entry in std::fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        let (kind, mode) = (entry.file_type()?, entry.metadata()?.permissions().mode() & 0o777);
        if kind.is_dir() {
            kept.push(Kept { path: path.clone(), mode, bytes: None });
            collect(root, &path, kept)?;
        } else if kind.is_file() {
            kept.push(Kept { bytes: Some(std::fs::read(entry.path())?), path, mode });
        }
    }
    Ok(())
}
