//! The end-to-end tests: real programs, real connections, a real database.

mod audit;
mod backup;
mod catch_up;
mod check;
mod delivery;
mod faults;
mod flood;
mod growth;
mod limits;
mod mallory;
mod monitoring;
mod openssl;
mod private_messages;
mod profiles;
mod registering;
mod renewing;
mod sandbox;
mod scripts;
mod starting;
mod tls;
mod transcripts;
