-- Each revocation is chained to the one before it, and each account has a hash of its own, so that a changed one is
-- noticed. The hashes of those that are there are computed by the program.
ALTER TABLE revocations ADD COLUMN hash BLOB NOT NULL DEFAULT x'';
ALTER TABLE accounts ADD COLUMN hash BLOB NOT NULL DEFAULT x'';
