//! What the benches have in common: [`envelope`] makes sealed messages, [`hot_paths`] are what a micro-benchmark
//! times and what is watched by counting instructions.
//!
//! `parlour-bench` measures the server from outside, `bare` is what it is held against, `instructions` counts,
//! and `benches/micro.rs` times.

pub mod envelope;
pub mod hot_paths;
