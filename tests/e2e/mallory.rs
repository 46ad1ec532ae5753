//! What Mallory cannot do: one attack for each claim of docs/threat-model.md, named after its number.

mod m28_audit_rewritten;
