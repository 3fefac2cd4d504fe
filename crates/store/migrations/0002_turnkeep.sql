-- From the original's tables to ours. Every old table and column keeps its name, so old SELECTs still answer; the
-- original's INSERTs do not, because a row without an event could not be kept from being stored twice.
--
-- Ids are compared by their bytes (COLLATE "C"): which of two events comes first must not depend on the locale of the
-- server, and an index must survive an upgrade of the C library. At most 512 bytes come in, the original's 255
-- characters may be 1020, and a B-tree takes rows of up to 2704.

-- The original wrote UTC into columns without a time zone.
SET LOCAL TimeZone = 'UTC';

-- Old keys go, whatever they are called: a conversation id is unique only within its tenant.
DO $$
DECLARE
    key record;
BEGIN
    FOR key IN
        SELECT conrelid::regclass AS of_table, conname AS name
        FROM pg_constraint
        WHERE conrelid IN ('conversations'::regclass, 'messages'::regclass, 'implementations'::regclass)
          AND (contype = 'p' OR contype = 'f' AND confrelid = 'conversations'::regclass)
        ORDER BY contype
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', key.of_table, key.name);
    END LOOP;
END
$$;

-- The keys below begin with the same columns as these.
DROP INDEX IF EXISTS idx_conversations_user_id;
DROP INDEX IF EXISTS idx_messages_conversation_id;
DROP INDEX IF EXISTS idx_implementations_conversation_id;

-- Rows that name no conversation, or one that is not there, could be made by hand only. They are kept.
UPDATE messages SET conversation_id = 'legacy:unknown' WHERE conversation_id IS NULL;
UPDATE implementations SET conversation_id = 'legacy:unknown' WHERE conversation_id IS NULL;
INSERT INTO conversations (conversation_id, created_at, updated_at)
SELECT missing.conversation_id, NULL, NULL
FROM (
    SELECT conversation_id FROM messages
    UNION
    SELECT conversation_id FROM implementations
    EXCEPT
    SELECT conversation_id FROM conversations
) AS missing;

ALTER TABLE conversations
    ALTER COLUMN conversation_id TYPE text COLLATE "C",
    ALTER COLUMN user_id TYPE text COLLATE "C",
    ALTER COLUMN created_at TYPE timestamptz,
    ALTER COLUMN updated_at TYPE timestamptz,
    ALTER COLUMN s3_key TYPE text,
    ADD COLUMN tenant_id text COLLATE "C" NOT NULL DEFAULT 'default',
    ADD COLUMN owned_since timestamptz,
    ADD COLUMN owner_event_id text COLLATE "C",
    ADD COLUMN last_message_at timestamptz,
    ADD COLUMN last_event_id text COLLATE "C",
    ADD COLUMN message_count integer NOT NULL DEFAULT 0,
    ADD COLUMN implementation_count integer NOT NULL DEFAULT 0,
    ADD COLUMN input_tokens bigint NOT NULL DEFAULT 0,
    ADD COLUMN output_tokens bigint NOT NULL DEFAULT 0;

ALTER TABLE messages
    ALTER COLUMN message_id TYPE text COLLATE "C",
    ALTER COLUMN conversation_id TYPE text COLLATE "C",
    ALTER COLUMN role TYPE text,
    ALTER COLUMN "timestamp" TYPE timestamptz,
    ADD COLUMN tenant_id text COLLATE "C" NOT NULL DEFAULT 'default',
    ADD COLUMN event_id text COLLATE "C",
    ADD COLUMN parent_message_id text,
    ADD COLUMN ordinal integer NOT NULL DEFAULT 0,
    ADD COLUMN is_answer boolean NOT NULL DEFAULT false,
    ADD COLUMN occurred_at timestamptz,
    ADD COLUMN received_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN name text,
    ADD COLUMN parts jsonb,
    ADD COLUMN model text,
    ADD COLUMN provider text,
    ADD COLUMN finish_reason text,
    ADD COLUMN input_tokens integer,
    ADD COLUMN output_tokens integer,
    ADD COLUMN cache_read_tokens integer,
    ADD COLUMN cache_write_tokens integer,
    ADD COLUMN reasoning_tokens integer,
    ADD COLUMN content_sha256 bytea,
    ADD COLUMN content_truncated boolean NOT NULL DEFAULT false;

ALTER TABLE implementations
    ALTER COLUMN implementation_id TYPE text COLLATE "C",
    ALTER COLUMN conversation_id TYPE text COLLATE "C",
    ALTER COLUMN file_path TYPE text,
    ALTER COLUMN implementation_type TYPE text,
    ALTER COLUMN created_at TYPE timestamptz,
    ADD COLUMN tenant_id text COLLATE "C" NOT NULL DEFAULT 'default',
    ADD COLUMN event_id text COLLATE "C",
    ADD COLUMN ordinal integer NOT NULL DEFAULT 0,
    ADD COLUMN message_id text,
    ADD COLUMN occurred_at timestamptz,
    ADD COLUMN received_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN language text,
    ADD COLUMN content_sha256 bytea,
    ADD COLUMN metadata jsonb;

-- The original stored at most one turn of a conversation, so all its rows are of one event.
UPDATE messages
SET event_id = 'legacy:' || conversation_id,
    is_answer = role = 'assistant',
    occurred_at = "timestamp",
    received_at = coalesce("timestamp", now()),
    parts = jsonb_build_array(jsonb_build_object('type', 'text', 'content', content));

UPDATE messages
SET ordinal = place.ordinal
FROM (
    SELECT message_id,
           row_number() OVER (PARTITION BY conversation_id ORDER BY "timestamp", is_answer, message_id) - 1 AS ordinal
    FROM messages
) AS place
WHERE place.message_id = messages.message_id AND place.ordinal > 0;

UPDATE implementations
SET event_id = 'legacy:' || conversation_id,
    occurred_at = created_at,
    received_at = coalesce(created_at, now());

UPDATE messages SET "timestamp" = received_at WHERE "timestamp" IS NULL;
UPDATE implementations SET created_at = received_at WHERE created_at IS NULL;

-- `anonymous` and the empty name meant nobody: they would make one person of all unknown ones.
UPDATE conversations
SET user_id = nullif(nullif(conversations.user_id, 'anonymous'), ''),
    created_at = coalesce(conversations.created_at, said.first_at, conversations.updated_at, now()),
    updated_at = coalesce(conversations.updated_at, conversations.created_at, now()),
    last_message_at = coalesce(said.last_at, conversations.updated_at, conversations.created_at, now()),
    message_count = coalesce(said.messages, 0),
    implementation_count = coalesce(made.implementations, 0)
FROM conversations AS self
LEFT JOIN (
    SELECT conversation_id, count(*) AS messages, min("timestamp") AS first_at, max("timestamp") AS last_at
    FROM messages GROUP BY conversation_id
) AS said ON said.conversation_id = self.conversation_id
LEFT JOIN (
    SELECT conversation_id, count(*) AS implementations
    FROM implementations GROUP BY conversation_id
) AS made ON made.conversation_id = self.conversation_id
WHERE self.conversation_id = conversations.conversation_id;

UPDATE conversations
SET last_event_id = 'legacy:' || conversation_id,
    owned_since = CASE WHEN user_id IS NOT NULL THEN created_at END,
    owner_event_id = CASE WHEN user_id IS NOT NULL THEN 'legacy:' || conversation_id END;

ALTER TABLE conversations
    ALTER COLUMN created_at SET NOT NULL,
    ALTER COLUMN updated_at SET NOT NULL,
    ALTER COLUMN last_message_at SET NOT NULL,
    ALTER COLUMN last_event_id SET NOT NULL,
    ADD CONSTRAINT conversations_pkey PRIMARY KEY (conversation_id, tenant_id),
    ADD CONSTRAINT conversations_ids CHECK (
        octet_length(tenant_id) <= 512 AND octet_length(conversation_id) <= 1024 AND octet_length(user_id) <= 1024
    );

ALTER TABLE messages
    ALTER COLUMN event_id SET NOT NULL,
    ALTER COLUMN "timestamp" SET NOT NULL,
    ADD CONSTRAINT messages_pkey PRIMARY KEY (conversation_id, tenant_id, message_id),
    ADD CONSTRAINT messages_ids CHECK (octet_length(message_id) <= 1024),
    ADD CONSTRAINT messages_conversation FOREIGN KEY (conversation_id, tenant_id)
        REFERENCES conversations (conversation_id, tenant_id) ON DELETE CASCADE;

ALTER TABLE implementations
    ALTER COLUMN event_id SET NOT NULL,
    ALTER COLUMN created_at SET NOT NULL,
    ADD CONSTRAINT implementations_pkey PRIMARY KEY (conversation_id, tenant_id, implementation_id),
    ADD CONSTRAINT implementations_ids CHECK (octet_length(implementation_id) <= 1024),
    ADD CONSTRAINT implementations_conversation FOREIGN KEY (conversation_id, tenant_id)
        REFERENCES conversations (conversation_id, tenant_id) ON DELETE CASCADE;

-- Words of any language and of code, so without stemming. A tsvector holds less than 1 MiB: 65 536 characters cannot
-- reach that, even where each of them takes four bytes and the parser emits the same stretch three times.
ALTER TABLE messages
    ADD COLUMN search tsvector GENERATED ALWAYS AS (to_tsvector('simple', left(content, 65536))) STORED;
ALTER TABLE implementations
    ADD COLUMN search tsvector GENERATED ALWAYS AS (
        to_tsvector('simple', left(
            coalesce(file_path, '') || ' ' || coalesce(functionality, '') || ' ' || coalesce(code_snippet, ''), 65536
        ))
    ) STORED;

-- The ledger: one row for every event that came, also for those that were refused. It goes with its conversation, so
-- that what is deleted and delivered again comes back whole.
CREATE TABLE capture_events (
    tenant_id            text COLLATE "C" NOT NULL,
    conversation_id      text COLLATE "C" NOT NULL,
    event_id             text COLLATE "C" NOT NULL,
    outcome              text NOT NULL,
    source               text NOT NULL,
    occurred_at          timestamptz,
    ingested_at          timestamptz NOT NULL,
    -- When another event first came under this id; it was refused.
    conflicted_at        timestamptz,
    fingerprint          bytea NOT NULL,
    s3_bucket            text NOT NULL,
    s3_key               text NOT NULL,
    s3_version_id        text,
    body_sha256          bytea NOT NULL,
    body_bytes           bigint NOT NULL,
    message_count        integer NOT NULL,
    implementation_count integer NOT NULL,
    input_tokens         integer,
    output_tokens        integer,
    metadata             jsonb,
    CONSTRAINT capture_events_pkey PRIMARY KEY (conversation_id, tenant_id, event_id),
    CONSTRAINT capture_events_ids CHECK (octet_length(event_id) <= 1024),
    CONSTRAINT capture_events_outcome CHECK (outcome IN ('stored', 'foreign')),
    CONSTRAINT capture_events_digests CHECK (octet_length(body_sha256) = 32 AND octet_length(fingerprint) = 32),
    CONSTRAINT capture_events_conversation FOREIGN KEY (conversation_id, tenant_id)
        REFERENCES conversations (conversation_id, tenant_id) ON DELETE CASCADE
);

-- What must not come back. The subject is kept as a hash, SHA-256 of its id in UTF-8: knowing it is enough to refuse.
CREATE TABLE erasures (
    erasure_id      uuid PRIMARY KEY,
    tenant_id       text COLLATE "C" NOT NULL,
    subject_kind    text NOT NULL,
    subject_hash    bytea NOT NULL,
    requested_at    timestamptz NOT NULL DEFAULT now(),
    completed_at    timestamptz,
    rows_deleted    bigint,
    objects_deleted bigint,
    CONSTRAINT erasures_subject UNIQUE (subject_hash, tenant_id, subject_kind),
    CONSTRAINT erasures_subject_kind CHECK (subject_kind IN ('user', 'conversation'))
);

CREATE INDEX conversations_by_user ON conversations (user_id, tenant_id, last_message_at DESC, conversation_id);
CREATE INDEX messages_search ON messages USING gin (search);
CREATE INDEX messages_by_time ON messages USING brin ("timestamp");
CREATE INDEX implementations_search ON implementations USING gin (search);
CREATE INDEX capture_events_by_arrival ON capture_events USING brin (ingested_at);
