//! What Mallory cannot do: each file is an attack on one claim of `docs/threat-model.md`, under its number.

mod m27_confined;
mod m28_audit_rewritten;
mod m29_dependencies;
