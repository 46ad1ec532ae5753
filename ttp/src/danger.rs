//! Dangers: conditions that are refused as unsafe unless they are allowed by name.

use clap::ValueEnum;
use parlour_upkeep::look;

use crate::folder::AuthorityFolder;

/// Something unsafe, with the name that allows it in `allow-unsafe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Danger {
    /// Others than the owner can read the root's or the log's key
    WorldReadableKeys,
    /// Others than the owner can read the database
    WorldReadableData,
    /// Others than the owner can change or replace keys or the database
    WritableData,
}

impl Danger {
    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::WorldReadableKeys => "world-readable-keys",
            Self::WorldReadableData => "world-readable-data",
            Self::WritableData => "writable-data",
        }
    }
}

/// Everything unsafe about the TTP's folder, each with advice.
pub(crate) fn all(folder: &AuthorityFolder) -> Vec<(Danger, String)> {
    let (keys, database) = ([folder.root_key(), folder.log_key()], folder.database());
    let readable = |path: &_| look::is_readable_by_others(path);
    let read = keys.iter().filter(|key| readable(key)).map(|key| (Danger::WorldReadableKeys, key));
    let read = read.chain(readable(&database).then_some((Danger::WorldReadableData, &database)));
    let read = read.map(|(danger, path)| {
        let path = path.display();
        (danger, format!("others than its owner can read {path}; 'chmod 600 {path}' takes that away"))
    });
    let written = [folder.path(), &database].into_iter().chain(keys.iter().map(AsRef::as_ref));
    let written = written.filter(|path| look::is_writable_by_others(path)).map(|path| {
        let (what, path) = (if path.is_dir() { "what is in " } else { "" }, path.display());
        let reason =
            format!("others than its owner can change {what}{path}; 'chmod go-w {path}' takes that away");
        (Danger::WritableData, reason)
    });
    read.chain(written).collect()
}
