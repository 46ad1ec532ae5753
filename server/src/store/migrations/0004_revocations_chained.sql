-- Each revocation is chained to the one before it, so that a changed one is noticed. The hashes of those that
-- are there are computed by the program.
ALTER TABLE revocations ADD COLUMN hash BLOB NOT NULL DEFAULT x'';
