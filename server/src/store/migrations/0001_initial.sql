-- Accounts: a name, once taken, stays.
CREATE TABLE accounts (
    name        TEXT NOT NULL PRIMARY KEY,
    certificate BLOB NOT NULL,             -- the account certificate, DER
    kid         TEXT NOT NULL,             -- RFC 7638 thumbprint of the account key, base64url
    created     INTEGER NOT NULL           -- milliseconds since 1970, UTC, like every time here
) STRICT;

-- Devices that the TTP revoked, in its numbering.
CREATE TABLE revocations (
    number INTEGER NOT NULL PRIMARY KEY,
    name   TEXT NOT NULL,
    device TEXT NOT NULL,
    time   INTEGER NOT NULL
) STRICT;
CREATE INDEX revocations_by_device ON revocations (name, device);

-- Conversations: '#lobby', or '@erik@sam' for a direct one, its two names sorted.
CREATE TABLE conversations (
    id        INTEGER NOT NULL PRIMARY KEY,
    name      TEXT NOT NULL UNIQUE,
    last_seq  INTEGER NOT NULL,
    last_time INTEGER NOT NULL,
    last_hash BLOB NOT NULL                -- hash of the newest message, 32 zero bytes before the first
) STRICT;

-- Who is in a direct conversation; everyone is in the lobby.
CREATE TABLE members (
    user         TEXT NOT NULL REFERENCES accounts (name),
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    PRIMARY KEY (user, conversation)
) STRICT, WITHOUT ROWID;

-- Messages: public ones have a text; sealed ones have a JWE in three parts.
CREATE TABLE messages (
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
    UNIQUE (sender, id)
) STRICT;
