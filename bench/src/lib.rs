//! The shared part of the benchmarks: [`envelope`] makes sealed messages, and [`hot_paths`] holds the code whose
//! time and instructions are measured.
//!
//! `parlour-bench` measures the server from outside and compares it with `bare`, `instructions` counts
//! instructions, and `benches/micro.rs` times each hot path.

pub mod envelope;
pub mod hot_paths;
