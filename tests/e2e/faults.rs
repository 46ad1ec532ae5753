//! Failing disks, changed files, torn copies, vanishing peers: no acknowledged message is lost, and no damaged
//! data is served.

mod client_disk;
mod flips;
mod full_disk;
mod half_open;
mod starting;
mod ttp_disk;
