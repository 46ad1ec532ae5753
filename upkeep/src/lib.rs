//! What the programs that keep data need so that somebody can look after them.
//!
//! A [`Report`] holds what a program found out about how it stands: one [`Finding`] for each thing that it
//! looked at. [`look`] has those that every program looks at alike: modes of files, dates, room on the disk.
//!
//! [`logging`] is the log that such a program writes, in files that are bounded.
//!
//! A backup is one file: a tar with a [`Manifest`] and what it lists, encrypted to an age [`Recipient`].
//! [`Snapshot`] takes a consistent copy of a database that is being written, [`archive`] packs and unpacks,
//! [`key`] makes and reads the keys. Whether a database holds what it should, each program says for itself, as
//! an [`Inspection`]; [`structure`] is the part that SQLite answers.
//!
//! What a database was told is to be on the disk: [`WriteFault`] is what it means when it is not, and a
//! [`LogCopier`] notices it where SQLite would say nothing.

pub mod archive;
mod durability;
mod finding;
mod inspection;
pub mod key;
mod log_file;
pub mod logging;
pub mod look;
mod snapshot;

pub use archive::{Manifest, PackError, UnpackError};
pub use durability::{LogCopier, WriteFault, copy_log, write_fault_text};
pub use finding::{Finding, Report, State};
pub use inspection::{Inspection, Inventory, moment, structure};
pub use key::{Identities, KeyError, Recipient};
pub use log_file::LogFile;
pub use snapshot::{Snapshot, SnapshotError};
