"""The tables of the history, and what makes room in them."""

VERSION = 1
"""The file's own `user_version`; 0 is a file without tables."""
SCHEMA = """
CREATE TABLE runs (
    serial INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, entry TEXT NOT NULL, record BLOB,
    deleted_by TEXT NOT NULL DEFAULT ''
);
CREATE TABLE pictures (
    id TEXT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE, png BLOB NOT NULL
);
"""
TRIM_RUNS = """
DELETE FROM runs WHERE serial <= (SELECT serial FROM runs ORDER BY serial DESC LIMIT 1 OFFSET ?)
"""
TRIM_PICTURES = """
DELETE FROM pictures WHERE id IN (
    SELECT id FROM (
        SELECT id, sum(length(png)) OVER (ORDER BY serial DESC) AS total
        FROM pictures JOIN runs USING (id)
    ) WHERE total > ?
)
"""
