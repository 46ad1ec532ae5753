//! Disks that fail, files that were changed, copies that were torn, peers that vanish: nothing that was
//! acknowledged is lost, and nothing that is damaged is served.

mod client_disk;
mod flips;
mod full_disk;
mod half_open;
mod starting;
mod ttp_disk;
