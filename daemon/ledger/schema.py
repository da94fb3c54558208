"""The ledger's tables."""

VERSION = 1
LAST_TABLE = "troubles"
"""Once it is there, the others are too."""

TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rules (
    rule_id TEXT PRIMARY KEY, judged_until_ms INTEGER, detector TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS memory (
    rule_id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (rule_id, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alerts (
    id TEXT PRIMARY KEY, rule_id TEXT NOT NULL, key TEXT NOT NULL, state TEXT NOT NULL, active_at_ms INTEGER NOT NULL,
    told INTEGER NOT NULL DEFAULT 0, told_ms INTEGER, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS alerts_by_state ON alerts (state, active_at_ms);
CREATE TABLE IF NOT EXISTS transitions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, alert_id TEXT NOT NULL, before TEXT, after TEXT NOT NULL,
    at_ms INTEGER NOT NULL, cause TEXT NOT NULL, recorded_ms INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS transitions_by_alert ON transitions (alert_id, seq);
CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, channel TEXT NOT NULL, thread TEXT NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, created_ms INTEGER NOT NULL, first_try_ms INTEGER,
    next_ms INTEGER NOT NULL, ended_ms INTEGER, reason TEXT NOT NULL DEFAULT '', detail TEXT NOT NULL DEFAULT '',
    delivered TEXT NOT NULL DEFAULT '[]', body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS outbox_by_due ON outbox (state, next_ms);
CREATE INDEX IF NOT EXISTS outbox_by_thread ON outbox (channel, thread, seq);
CREATE INDEX IF NOT EXISTS outbox_by_alert ON outbox (thread, channel);
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL, channel TEXT NOT NULL, at_ms INTEGER NOT NULL,
    outcome TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS deliveries_by_message ON deliveries (message_id, seq);
CREATE TABLE IF NOT EXISTS evaluations (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, rule_id TEXT NOT NULL, at_ms INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS evaluations_by_rule ON evaluations (rule_id, seq);
CREATE TABLE IF NOT EXISTS marks (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, at_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL, rules TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS baselines (
    rule_id TEXT NOT NULL, mark_id TEXT NOT NULL, applied_ms INTEGER NOT NULL, PRIMARY KEY (rule_id, mark_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS replayed (letter_id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS troubles (
    trouble TEXT NOT NULL, name TEXT NOT NULL, since_ms INTEGER NOT NULL, detail TEXT NOT NULL,
    PRIMARY KEY (trouble, name)
) WITHOUT ROWID;
"""
