//! Disks that fail, files that were changed, copies that were torn, peers that vanish: nothing that was
//! acknowledged is lost, and nothing that is damaged is served.

mod flips;
mod full_disk;
mod starting;
mod ttp_disk;
