//! The end-to-end tests: real programs, real connections, a real database.

mod transcripts;
