-- What a name looks like: the same for two names that are easily taken for each other. The program says the
-- same as `UserName::skeleton`, and a test holds the two together. Accounts from before may look alike.
ALTER TABLE accounts ADD COLUMN skeleton TEXT GENERATED ALWAYS AS (
    replace(replace(replace(replace(replace(name, '1', 'l'), '0', 'o'), '_', '-'), 'm', 'rn'), 'w', 'vv')
) VIRTUAL;
CREATE INDEX accounts_by_skeleton ON accounts (skeleton);

CREATE INDEX devices_by_seal_key ON devices (seal_key);

-- The key log's own certificate is one more kind, which a table's CHECK cannot learn in place.
CREATE TABLE certificates_with_log (
    number     INTEGER PRIMARY KEY,
    kind       TEXT    NOT NULL CHECK (kind IN ('root', 'log', 'server', 'device', 'account')),
    name       TEXT    NOT NULL,                -- the common name, or the hosts of a server
    device     TEXT,                            -- of a device certificate
    serial     TEXT    NOT NULL UNIQUE,         -- hexadecimal
    not_before INTEGER NOT NULL,                -- Unix seconds, as in the certificate
    not_after  INTEGER NOT NULL,
    der        BLOB    NOT NULL UNIQUE,
    issued     INTEGER NOT NULL,
    CHECK ((kind = 'device') = (device IS NOT NULL)),
    FOREIGN KEY (name, device) REFERENCES devices (name, device)
) STRICT;
INSERT INTO certificates_with_log (number, kind, name, device, serial, not_before, not_after, der, issued)
    SELECT number, kind, name, device, serial, not_before, not_after, der, issued FROM certificates;
DROP TABLE certificates;
ALTER TABLE certificates_with_log RENAME TO certificates;
CREATE INDEX certificates_by_device ON certificates (name, device, number);
CREATE TRIGGER certificates_stay BEFORE DELETE ON certificates BEGIN SELECT RAISE(ABORT, 'certificates stay'); END;
CREATE TRIGGER certificates_keep BEFORE UPDATE ON certificates BEGIN SELECT RAISE(ABORT, 'certificates stay'); END;

-- An enrolment is answered alike for ever. A renewal's answer may go once its certificate has expired; what was
-- issued stays in the log.
DROP TRIGGER answers_stay;
CREATE TRIGGER answers_stay BEFORE DELETE ON answers
    WHEN json_extract(OLD.answer, '$.issued.account_certificate') IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'answers to enrolments stay'); END;
