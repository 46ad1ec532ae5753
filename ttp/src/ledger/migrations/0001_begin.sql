-- Who owns which name. A row here is for ever.
CREATE TABLE accounts (
    name        TEXT    NOT NULL PRIMARY KEY,
    account_key BLOB    NOT NULL UNIQUE,        -- SubjectPublicKeyInfo, DER
    created     INTEGER NOT NULL                -- Unix milliseconds, like every moment here
) STRICT;

CREATE TABLE devices (
    name       TEXT    NOT NULL REFERENCES accounts (name),
    device     TEXT    NOT NULL,
    device_key BLOB    NOT NULL UNIQUE,         -- SubjectPublicKeyInfo, DER
    seal_key   BLOB    NOT NULL,                -- SubjectPublicKeyInfo, DER
    created    INTEGER NOT NULL,
    PRIMARY KEY (name, device)
) STRICT;

-- Every certificate that was ever issued.
CREATE TABLE certificates (
    number     INTEGER PRIMARY KEY,
    kind       TEXT    NOT NULL CHECK (kind IN ('root', 'server', 'device', 'account')),
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

-- The key log's leaves, from 0.
CREATE TABLE leaves (
    position INTEGER PRIMARY KEY,
    hash     BLOB    NOT NULL UNIQUE,           -- RFC 6962, 2.1
    leaf     BLOB    NOT NULL
) STRICT;

-- What was answered to which signed request, so that the same one gets the same answer.
CREATE TABLE answers (
    request BLOB    NOT NULL PRIMARY KEY,       -- SHA-256 of the compact JWS
    device  TEXT    NOT NULL,                   -- by which device
    nonce   BLOB    NOT NULL,                   -- that it wrote into the request
    answer  TEXT    NOT NULL,
    time    INTEGER NOT NULL,
    UNIQUE (device, nonce)
) STRICT;

-- Devices that may not be used any more, from 1 without gaps.
CREATE TABLE revocations (
    number INTEGER PRIMARY KEY,
    name   TEXT    NOT NULL,
    device TEXT    NOT NULL,
    time   INTEGER NOT NULL,
    UNIQUE (name, device),
    FOREIGN KEY (name, device) REFERENCES devices (name, device)
) STRICT;

-- Nothing is taken back, whatever goes wrong in the program above.
CREATE TRIGGER accounts_stay BEFORE DELETE ON accounts BEGIN SELECT RAISE(ABORT, 'accounts stay'); END;
CREATE TRIGGER accounts_keep BEFORE UPDATE ON accounts BEGIN SELECT RAISE(ABORT, 'accounts stay'); END;
CREATE TRIGGER devices_stay BEFORE DELETE ON devices BEGIN SELECT RAISE(ABORT, 'devices stay'); END;
CREATE TRIGGER devices_keep BEFORE UPDATE ON devices BEGIN SELECT RAISE(ABORT, 'devices stay'); END;
CREATE TRIGGER certificates_stay BEFORE DELETE ON certificates BEGIN SELECT RAISE(ABORT, 'certificates stay'); END;
CREATE TRIGGER certificates_keep BEFORE UPDATE ON certificates BEGIN SELECT RAISE(ABORT, 'certificates stay'); END;
CREATE TRIGGER leaves_stay BEFORE DELETE ON leaves BEGIN SELECT RAISE(ABORT, 'leaves stay'); END;
CREATE TRIGGER leaves_keep BEFORE UPDATE ON leaves BEGIN SELECT RAISE(ABORT, 'leaves stay'); END;
CREATE TRIGGER answers_stay BEFORE DELETE ON answers BEGIN SELECT RAISE(ABORT, 'answers stay'); END;
CREATE TRIGGER answers_keep BEFORE UPDATE ON answers BEGIN SELECT RAISE(ABORT, 'answers stay'); END;
CREATE TRIGGER revocations_stay BEFORE DELETE ON revocations BEGIN SELECT RAISE(ABORT, 'revocations stay'); END;
CREATE TRIGGER revocations_keep BEFORE UPDATE ON revocations BEGIN SELECT RAISE(ABORT, 'revocations stay'); END;
