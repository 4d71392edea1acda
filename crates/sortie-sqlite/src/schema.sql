CREATE TABLE log(
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    id TEXT NOT NULL,
    fence INTEGER NOT NULL
) STRICT;

CREATE TABLE streams(
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    targets INTEGER NOT NULL,
    head BLOB NOT NULL
) STRICT;

CREATE TABLE commits(
    position INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    schema INTEGER NOT NULL,
    hash BLOB NOT NULL,
    commands TEXT NOT NULL,
    events TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX commits_of_stream ON commits(stream, first);

CREATE TABLE targets(
    stream INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    device TEXT NOT NULL,
    PRIMARY KEY (stream, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE claim_rows(
    device TEXT NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL,
    holder INTEGER NOT NULL,
    operation BLOB NOT NULL,
    phase TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE devices(
    id TEXT NOT NULL PRIMARY KEY,
    system_model TEXT NOT NULL,
    tags TEXT NOT NULL,
    attributes TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX devices_of_system_model ON devices(system_model, id);

CREATE VIEW events AS
SELECT
    c.position + e.key AS position,
    s.id AS stream,
    c.first + e.key AS version,
    strftime('%Y-%m-%dT%H:%M:%fZ', c.recorded_at / 1000.0, 'unixepoch') AS recorded_at,
    json_extract(e.value, '$.type') AS kind,
    CASE WHEN s.id LIKE 'campaign/%' THEN substr(s.id, 10) END AS campaign,
    coalesce(
        t.device,
        json_extract(e.value, '$.device'),
        json_extract(e.value, '$.update.device')
    ) AS device,
    e.value AS body
FROM commits c
JOIN streams s ON s.key = c.stream
JOIN json_each(c.events) e
LEFT JOIN targets t ON t.stream = c.stream AND t.idx = json_extract(e.value, '$.target');

CREATE VIEW claims AS
SELECT
    r.device,
    r.number,
    s.id AS holder,
    lower(
        substr(hex(r.operation), 1, 8) || '-' || substr(hex(r.operation), 9, 4) || '-' ||
        substr(hex(r.operation), 13, 4) || '-' || substr(hex(r.operation), 17, 4) || '-' ||
        substr(hex(r.operation), 21)
    ) AS operation,
    r.phase
FROM claim_rows r
JOIN streams s ON s.key = r.holder;
