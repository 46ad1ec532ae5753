-- The TTP's signed statement of each revocation. It proves itself, and so it is not in the hash. Those of revocations
-- kept before come when the TTP sends them again, as it does at each connection.
ALTER TABLE revocations ADD COLUMN statement TEXT;
