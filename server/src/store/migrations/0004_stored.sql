-- How many bytes of messages each account has stored: of each its text or envelope, and 256 for its row. May
-- be ahead by a small part while a server writes, or after it was killed.
CREATE TABLE stored (
    user  TEXT NOT NULL PRIMARY KEY REFERENCES accounts (name),
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO stored
    SELECT sender, sum(256 + coalesce(octet_length(text), 0) + coalesce(octet_length(sealed), 0)
                       + coalesce(octet_length(key1), 0) + coalesce(octet_length(key2), 0))
    FROM messages GROUP BY sender;
