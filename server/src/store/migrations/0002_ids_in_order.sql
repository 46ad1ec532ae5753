-- Ids grow with time (UUIDv7), senders do not: with the id in front, what is new lies together at the end
-- of the index, and a commit writes few of its pages.
CREATE TABLE messages_in_order (
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    seq          INTEGER NOT NULL,         -- 1, 2, 3 ... in each conversation, without gaps
    id           BLOB NOT NULL,            -- the sender's UUID for it
    sender       TEXT NOT NULL REFERENCES accounts (name),
    recipient    TEXT NOT NULL,            -- '#lobby' or '@sam'
    time         INTEGER NOT NULL,         -- when it was stored
    text         TEXT,
    sealed       TEXT,                     -- the JWE without its recipients
    key1         TEXT,                     -- the content key wrapped to the recipient
    key2         TEXT,                     -- the content key wrapped to the sender
    hash         BLOB NOT NULL,            -- SHA-256 over the hash before it and this row
    CHECK ((text IS NULL) = (sealed IS NOT NULL AND key1 IS NOT NULL AND key2 IS NOT NULL)),
    UNIQUE (conversation, seq),
    UNIQUE (id, sender)
) STRICT;
INSERT INTO messages_in_order SELECT * FROM messages ORDER BY rowid;
DROP TABLE messages;
ALTER TABLE messages_in_order RENAME TO messages;
