//! Tests of the program itself: real processes, real files, a real socket.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is tests, also what stands outside of a #[test]"
)]

mod backup;
mod config;
mod enrolment;
mod files;
mod odd_requests;
mod people;
mod profiles;
mod revocation;
mod server_certificate;
mod socket;
mod world;
