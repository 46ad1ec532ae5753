-- The audit log: security events, each chained to the one before it.
CREATE TABLE audit (
    number  INTEGER PRIMARY KEY,           -- 1, 2, 3 ... without gaps
    time    INTEGER NOT NULL,              -- when it happened
    kind    TEXT NOT NULL,
    user    TEXT,
    device  TEXT,
    address TEXT,
    detail  TEXT NOT NULL,
    times   INTEGER NOT NULL,              -- how often: more than 1 when repetitions were counted
    hash    BLOB NOT NULL                  -- SHA-256 over the hash before it and this row
) STRICT;

-- Both ends of it: what was removed at its beginning, and its newest entry, so that a cut is noticed.
CREATE TABLE audit_ends (
    one            INTEGER PRIMARY KEY CHECK (one = 1),
    removed_number INTEGER NOT NULL,       -- the last entry that was removed, 0 before that
    removed_hash   BLOB NOT NULL,
    newest_number  INTEGER NOT NULL,
    newest_hash    BLOB NOT NULL
) STRICT;
INSERT INTO audit_ends VALUES (1, 0, zeroblob(32), 0, zeroblob(32));

-- Entries stay as they are, whatever goes wrong in the program above; only its beginning is removed, after
-- that was noted.
CREATE TRIGGER audit_keeps BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit entries stay'); END;
CREATE TRIGGER audit_stays BEFORE DELETE ON audit
    WHEN OLD.number > (SELECT removed_number FROM audit_ends)
    BEGIN SELECT RAISE(ABORT, 'audit entries stay'); END;
CREATE TRIGGER audit_ends_stay BEFORE DELETE ON audit_ends BEGIN SELECT RAISE(ABORT, 'the ends stay'); END;
CREATE TRIGGER audit_ends_grow BEFORE UPDATE ON audit_ends
    WHEN NEW.newest_number < OLD.newest_number OR NEW.removed_number < OLD.removed_number
    BEGIN SELECT RAISE(ABORT, 'the ends only grow'); END;
