//! Tools for operating Parlour's long-running programs: checks, logs and backups.
//!
//! A [`Report`] describes a program's condition with one [`Finding`] for each thing that was checked. [`look`] has
//! the checks that all programs share: file modes, dates, room on the disk.
//!
//! [`logging`] writes a program's log, in files of bounded size.
//!
//! A backup is one file: a tar with a [`Manifest`] and the files that it lists, encrypted to an age [`Recipient`].
//! [`Snapshot`] takes a consistent copy of a database in use, [`archive`] packs and unpacks, [`key`] makes and
//! reads the keys. Each program checks its own database and returns an [`Inspection`]; [`structure`] is the part
//! of the check that SQLite does, and [`backup`] compares the result with the manifest.
//!
//! Committed data must be on the disk: [`WriteFault`] classifies the failures to put it there, and a [`LogCopier`]
//! notices those that SQLite would not report.

pub mod archive;
pub mod backup;
mod durability;
mod finding;
mod inspection;
pub mod key;
mod log_file;
pub mod logging;
pub mod look;
mod snapshot;

pub use archive::{Manifest, PackError, UnpackError};
pub use backup::BackupFault;
pub use durability::{LogCopier, WriteFault, copy_log, write_fault_text};
pub use finding::{Finding, Report, State};
pub use inspection::{Inspection, Inventory, moment, structure};
pub use key::{Identities, KeyError, Recipient};
pub use log_file::LogFile;
pub use snapshot::{Snapshot, SnapshotError};
