-- Everything an invocation stores, as one statement.
--
-- Its parts see one snapshot, taken when it starts. What another transaction commits meanwhile is seen only through ON
-- CONFLICT and RETURNING, so every decision that must be exact is taken there: whether an event is new (ledger), which
-- of two tellings of a message is the better one (said), who owns the conversation (conversation).
--
-- Rows are locked in the same order by every writer, so writers wait for each other but never in a circle: ledger,
-- messages, implementations, conversations, and by key in each of them. Each part reads the one before it, which is
-- what fixes the order. Deletions go the other way, from a conversation to what is in it: one that meets a writer may
-- end in a deadlock, after which the writer repeats its statement, or the deletion has to be repeated.
--
-- $1 tells whether ownership is enforced. The other parameters are arrays: $2 to $20 of events, $21 to $40 of their
-- messages, $41 to $51 of their implementations; the first of each is the event's position.
--
-- The arrays are unnested in SELECT lists, which hand over one row after the other; in FROM every array would be stored
-- before it is read. generate_subscripts stands among them everywhere: the planner takes it for 1000 rows, the others
-- for 10, and few rows it joins by comparing each with each.
WITH event AS MATERIALIZED (
    -- Without the columns that only the ledger keeps: the parts before it copy every row several times.
    SELECT
        e.place, e.position, e.tenant_id, e.conversation_id, e.event_id, e.user_id, e.occurred_at, e.fingerprint,
        e.input_tokens, e.output_tokens,
        -- The time of an event that has none: when it was archived, if that is long ago. Events of one invocation keep
        -- their order.
        coalesce(e.archived_at, now()) + e.position * interval '1 microsecond' AS arrived_at,
        row_number() OVER copies = 1 AS is_first,
        first_value(e.fingerprint) OVER copies AS first_fingerprint
    FROM (
        SELECT
            generate_subscripts($2::int4[], 1) AS place, unnest($2::int4[]) AS position,
            unnest($3::text[] COLLATE "C") AS tenant_id, unnest($4::text[] COLLATE "C") AS conversation_id,
            unnest($5::text[] COLLATE "C") AS event_id, unnest($6::text[] COLLATE "C") AS user_id,
            unnest($7::timestamptz[]) AS occurred_at, unnest($9::bytea[]) AS fingerprint,
            unnest($17::int4[]) AS input_tokens, unnest($18::int4[]) AS output_tokens,
            unnest($20::timestamptz[]) AS archived_at
    ) AS e
    WINDOW copies AS (PARTITION BY e.conversation_id, e.tenant_id, e.event_id ORDER BY e.position)
),
-- What is known of a conversation, and of a person, is looked up once for all their events. LIMIT keeps these and the
-- next from becoming anything but look-ups by key, whatever the statistics say.
talk AS MATERIALIZED (
    SELECT
        named.conversation_id, named.tenant_id, held.is_held, held.user_id AS owner_before,
        -- A conversation's erasure is for ever, because its next turn would bring the whole history back.
        (
            SELECT true FROM erasures
            WHERE erasures.tenant_id = named.tenant_id AND erasures.subject_kind = 'conversation'
              AND erasures.subject_hash = sha256(convert_to(named.conversation_id, 'UTF8'))
            LIMIT 1
        ) AS is_erased
    FROM (SELECT conversation_id, tenant_id FROM event GROUP BY conversation_id, tenant_id) AS named
    LEFT JOIN LATERAL (
        SELECT true AS is_held, user_id FROM conversations
        WHERE conversation_id = named.conversation_id AND tenant_id = named.tenant_id
        LIMIT 1
    ) AS held ON true
),
person AS MATERIALIZED (
    SELECT
        named.user_id, named.tenant_id,
        (
            SELECT erasures.requested_at FROM erasures
            WHERE erasures.tenant_id = named.tenant_id AND erasures.subject_kind = 'user'
              AND erasures.subject_hash = sha256(convert_to(named.user_id, 'UTF8'))
            LIMIT 1
        ) AS erased_at
    FROM (SELECT user_id, tenant_id FROM event GROUP BY user_id, tenant_id) AS named
),
known AS MATERIALIZED (
    SELECT
        event.*, talk.is_held, talk.owner_before, recorded.outcome AS known_outcome,
        recorded.fingerprint AS known_fingerprint, recorded.conflicted_at AS known_conflict,
        -- A person's erasure covers what happened before it was asked for.
        talk.is_erased IS NOT NULL OR person.erased_at IS NOT NULL
            AND (event.occurred_at IS NULL OR event.occurred_at <= person.erased_at) AS is_erased
    FROM event
    LEFT JOIN talk ON talk.conversation_id = event.conversation_id AND talk.tenant_id = event.tenant_id
    LEFT JOIN person ON person.user_id = event.user_id AND person.tenant_id = event.tenant_id
        AND person.erased_at IS NOT NULL
    LEFT JOIN LATERAL (
        SELECT outcome, fingerprint, conflicted_at FROM capture_events
        WHERE conversation_id = event.conversation_id AND tenant_id = event.tenant_id AND event_id = event.event_id
          -- The ledger refers to its conversations, so it knows nothing of one that is not there.
          AND talk.is_held
        LIMIT 1
    ) AS recorded ON true
),
-- The first user who is named here for a conversation without an owner.
claim AS (
    SELECT DISTINCT ON (conversation_id, tenant_id) conversation_id, tenant_id, user_id AS claimant
    FROM known
    WHERE owner_before IS NULL AND user_id IS NOT NULL AND known_outcome IS NULL AND is_first AND NOT is_erased
    ORDER BY conversation_id, tenant_id, occurred_at NULLS LAST, event_id
),
judged AS MATERIALIZED (
    SELECT
        known.*,
        CASE
            WHEN is_erased THEN 'erased'
            WHEN $1::bool AND coalesce(owner_before, claimant) <> coalesce(user_id, '') THEN 'foreign'
            ELSE 'stored'
        END AS verdict
    FROM known LEFT JOIN claim USING (conversation_id, tenant_id)
),
contested AS (
    SELECT conversation_id, tenant_id, event_id, min(arrived_at) AS conflicted_at
    FROM judged
    WHERE verdict = 'stored' AND fingerprint <> coalesce(known_fingerprint, first_fingerprint)
    GROUP BY conversation_id, tenant_id, event_id
),
-- An event that the snapshot knows is not written again. One that it does not know may be there all the same: then the
-- row is locked and comes back as it is, `is_new` false.
ledger AS (
    INSERT INTO capture_events AS held (
        conversation_id, tenant_id, event_id, outcome, source, occurred_at, ingested_at, conflicted_at, fingerprint,
        s3_bucket, s3_key, s3_version_id, body_sha256, body_bytes, message_count, implementation_count,
        input_tokens, output_tokens, metadata
    )
    SELECT
        conversation_id, tenant_id, event_id, verdict, source, occurred_at, arrived_at, contested.conflicted_at,
        fingerprint, s3_bucket, s3_key, s3_version_id, body_sha256, body_bytes, message_count, implementation_count,
        -- What a stranger sends adds nothing to what is known of the conversation.
        CASE WHEN verdict = 'stored' THEN input_tokens END,
        CASE WHEN verdict = 'stored' THEN output_tokens END,
        CASE WHEN verdict = 'stored' THEN metadata::jsonb END
    FROM judged
    LEFT JOIN contested USING (conversation_id, tenant_id, event_id)
    JOIN (
        SELECT
            generate_subscripts($2::int4[], 1) AS place,
            unnest($8::text[]) AS source, unnest($10::text[]) AS s3_bucket, unnest($11::text[]) AS s3_key,
            unnest($12::text[]) AS s3_version_id, unnest($13::bytea[]) AS body_sha256,
            unnest($14::int8[]) AS body_bytes, unnest($15::int4[]) AS message_count,
            unnest($16::int4[]) AS implementation_count, unnest($19::text[]) AS metadata
    ) AS e USING (place)
    WHERE is_first AND verdict <> 'erased'
      AND (known_outcome IS NULL OR contested.conflicted_at IS NOT NULL AND known_conflict IS NULL)
    ORDER BY conversation_id, tenant_id, event_id
    ON CONFLICT (conversation_id, tenant_id, event_id) DO UPDATE SET
        conflicted_at = coalesce(
            held.conflicted_at, excluded.conflicted_at,
            CASE WHEN held.fingerprint <> excluded.fingerprint THEN excluded.ingested_at END
        )
    -- A row that was there carries the lock in xmax, a new one carries none.
    RETURNING conversation_id, tenant_id, event_id, outcome, fingerprint, xmax = 0 AS is_new
),
-- What became of each event: the answer.
decided AS MATERIALIZED (
    SELECT
        judged.place, judged.position, judged.tenant_id, judged.conversation_id, judged.event_id, judged.user_id,
        judged.occurred_at, judged.arrived_at, judged.input_tokens, judged.output_tokens, judged.is_held,
        CASE
            WHEN judged.verdict = 'erased' THEN 'erased'
            WHEN judged.fingerprint = coalesce(ledger.fingerprint, judged.known_fingerprint) THEN
                CASE
                    WHEN coalesce(ledger.outcome, judged.known_outcome) = 'foreign' THEN 'foreign'
                    WHEN ledger.is_new AND judged.is_first THEN 'stored'
                    ELSE 'duplicate'
                END
            WHEN judged.verdict = 'foreign' THEN 'foreign'
            ELSE 'conflict'
        END AS status
    FROM judged LEFT JOIN ledger USING (conversation_id, tenant_id, event_id)
),
stored AS (SELECT * FROM decided WHERE status = 'stored'),
-- Of several tellings of one message the model's own answer is the best, then the earliest. The row remembers by what
-- it was told (is_answer, occurred_at, event_id), so it ends the same in whatever order they come.
telling AS (
    SELECT DISTINCT ON (conversation_id, tenant_id, m.message_id)
        conversation_id, tenant_id, event_id, stored.occurred_at, arrived_at, m.*
    FROM stored
    JOIN (
        SELECT
            generate_subscripts($21::int4[], 1) AS place,
            unnest($21::int4[]) AS position, unnest($22::text[] COLLATE "C") AS message_id,
            unnest($23::text[]) AS parent_message_id, unnest($24::int4[]) AS ordinal, unnest($25::bool[]) AS is_answer,
            unnest($26::text[]) AS role, unnest($27::text[]) AS name, unnest($28::text[]) AS content,
            unnest($29::bool[]) AS content_truncated, unnest($30::bytea[]) AS content_sha256,
            unnest($31::text[]) AS parts, unnest($32::text[]) AS model, unnest($33::text[]) AS provider,
            unnest($34::text[]) AS finish_reason, unnest($35::int4[]) AS input_tokens,
            unnest($36::int4[]) AS output_tokens, unnest($37::int4[]) AS cache_read_tokens,
            unnest($38::int4[]) AS cache_write_tokens, unnest($39::int4[]) AS reasoning_tokens,
            unnest($40::text[]) AS metadata
    ) AS m ON m.position = stored.position
    -- A history that is sent again is mostly known as well or better: that is left alone without locking it. Of a
    -- conversation that is not there nothing is known: its messages refer to it.
    WHERE stored.is_held IS NULL OR (
        SELECT (NOT told.is_answer, coalesce(told.occurred_at, 'infinity'), told.event_id)
            <= (NOT m.is_answer, coalesce(stored.occurred_at, 'infinity'), stored.event_id)
        FROM messages AS told
        WHERE told.conversation_id = stored.conversation_id AND told.tenant_id = stored.tenant_id
          AND told.message_id = m.message_id
    ) IS NOT TRUE
    ORDER BY
        conversation_id, tenant_id, m.message_id,
        m.is_answer DESC, stored.occurred_at NULLS LAST, event_id, m.ordinal
),
said AS (
    INSERT INTO messages AS told (
        conversation_id, tenant_id, message_id, event_id, parent_message_id, ordinal, is_answer, occurred_at,
        received_at, "timestamp", role, name, content, content_truncated, content_sha256, parts, model, provider,
        finish_reason, input_tokens, output_tokens, tokens_used, cache_read_tokens, cache_write_tokens,
        reasoning_tokens, metadata
    )
    SELECT
        conversation_id, tenant_id, message_id, event_id, parent_message_id, ordinal, is_answer, occurred_at,
        arrived_at, coalesce(occurred_at, arrived_at), role, name, content, content_truncated, content_sha256,
        -- A message without parts is one text, which is its content.
        coalesce(parts::jsonb, jsonb_build_array(jsonb_build_object('type', 'text', 'content', content))),
        model, provider, finish_reason, input_tokens, output_tokens,
        least(coalesce(input_tokens::int8 + output_tokens, input_tokens, output_tokens), 2147483647),
        cache_read_tokens, cache_write_tokens, reasoning_tokens, metadata::jsonb
    FROM telling
    ORDER BY conversation_id, tenant_id, message_id
    ON CONFLICT (conversation_id, tenant_id, message_id) DO UPDATE SET
        event_id = excluded.event_id, parent_message_id = excluded.parent_message_id, ordinal = excluded.ordinal,
        is_answer = excluded.is_answer, occurred_at = excluded.occurred_at,
        "timestamp" = coalesce(excluded.occurred_at, told.received_at), role = excluded.role, name = excluded.name,
        content = excluded.content, content_truncated = excluded.content_truncated,
        content_sha256 = excluded.content_sha256, parts = excluded.parts, model = excluded.model,
        provider = excluded.provider, finish_reason = excluded.finish_reason, input_tokens = excluded.input_tokens,
        output_tokens = excluded.output_tokens, tokens_used = excluded.tokens_used,
        cache_read_tokens = excluded.cache_read_tokens, cache_write_tokens = excluded.cache_write_tokens,
        reasoning_tokens = excluded.reasoning_tokens, metadata = excluded.metadata
    WHERE (NOT excluded.is_answer, coalesce(excluded.occurred_at, 'infinity'), excluded.event_id)
        < (NOT told.is_answer, coalesce(told.occurred_at, 'infinity'), told.event_id)
    RETURNING conversation_id, tenant_id, xmax = 0 AS is_new
),
making AS (
    SELECT DISTINCT ON (conversation_id, tenant_id, i.implementation_id)
        conversation_id, tenant_id, event_id, occurred_at, arrived_at, i.*
    FROM stored
    JOIN (
        SELECT
            generate_subscripts($41::int4[], 1) AS place,
            unnest($41::int4[]) AS position, unnest($42::text[] COLLATE "C") AS implementation_id,
            unnest($43::int4[]) AS ordinal, unnest($44::text[]) AS message_id, unnest($45::text[]) AS file_path,
            unnest($46::text[]) AS implementation_type, unnest($47::text[]) AS functionality,
            unnest($48::text[]) AS code_snippet, unnest($49::text[]) AS language,
            unnest($50::bytea[]) AS content_sha256, unnest($51::text[]) AS metadata
    ) AS i ON i.position = stored.position
    -- After the messages: see the order of locks above.
    WHERE (SELECT count(*) FROM said) >= 0
    ORDER BY
        conversation_id, tenant_id, i.implementation_id, occurred_at NULLS LAST, event_id, i.ordinal
),
made AS (
    INSERT INTO implementations AS told (
        conversation_id, tenant_id, implementation_id, event_id, ordinal, occurred_at, received_at, created_at,
        message_id, file_path, implementation_type, functionality, code_snippet, language, content_sha256, metadata
    )
    SELECT
        conversation_id, tenant_id, implementation_id, event_id, ordinal, occurred_at, arrived_at,
        coalesce(occurred_at, arrived_at), message_id, file_path, implementation_type, functionality, code_snippet,
        language, content_sha256, metadata::jsonb
    FROM making
    ORDER BY conversation_id, tenant_id, implementation_id
    ON CONFLICT (conversation_id, tenant_id, implementation_id) DO UPDATE SET
        event_id = excluded.event_id, ordinal = excluded.ordinal, occurred_at = excluded.occurred_at,
        created_at = coalesce(excluded.occurred_at, told.received_at), message_id = excluded.message_id,
        file_path = excluded.file_path, implementation_type = excluded.implementation_type,
        functionality = excluded.functionality, code_snippet = excluded.code_snippet, language = excluded.language,
        content_sha256 = excluded.content_sha256, metadata = excluded.metadata
    WHERE (coalesce(excluded.occurred_at, 'infinity'), excluded.event_id)
        < (coalesce(told.occurred_at, 'infinity'), told.event_id)
    RETURNING conversation_id, tenant_id, xmax = 0 AS is_new
),
-- What becomes of each conversation: its new events, and how many messages and implementations were added.
change AS (
    SELECT
        place, conversation_id, tenant_id, event_id, user_id, occurred_at,
        coalesce(occurred_at, arrived_at) AS happened_at, input_tokens, output_tokens, 0 AS said, 0 AS made
    FROM stored
    UNION ALL
    SELECT NULL, conversation_id, tenant_id, NULL, NULL, NULL, NULL, NULL, NULL, count(*)::int4, 0
    FROM said WHERE is_new GROUP BY conversation_id, tenant_id
    UNION ALL
    SELECT NULL, conversation_id, tenant_id, NULL, NULL, NULL, NULL, NULL, NULL, 0, count(*)::int4
    FROM made WHERE is_new GROUP BY conversation_id, tenant_id
),
-- One line for each of them. Of the event that names the owner and of the last one only the place is found out here.
summary AS (
    SELECT
        conversation_id, tenant_id,
        -- The first event with a user names the owner.
        (array_agg(place ORDER BY occurred_at NULLS LAST, event_id) FILTER (WHERE user_id IS NOT NULL))[1]
            AS owner_place,
        -- The last event is what the conversation shows.
        (array_agg(place ORDER BY happened_at DESC NULLS LAST, event_id DESC))[1] AS last_place,
        min(happened_at) AS first_at, max(happened_at) AS last_at, sum(said) AS said, sum(made) AS made,
        coalesce(sum(input_tokens), 0) AS input_tokens, coalesce(sum(output_tokens), 0) AS output_tokens
    FROM change
    GROUP BY conversation_id, tenant_id
),
conversation AS (
    INSERT INTO conversations AS held (
        conversation_id, tenant_id, user_id, owned_since, owner_event_id,
        last_event_id, s3_key, metadata,
        created_at, last_message_at, updated_at, message_count, implementation_count, input_tokens, output_tokens
    )
    SELECT
        conversation_id, tenant_id,
        ($6::text[])[owner_place], ($7::timestamptz[])[owner_place], ($5::text[])[owner_place],
        ($5::text[])[last_place], ($11::text[])[last_place],
        ($19::text[])[last_place]::jsonb || jsonb_build_object('implementations_count', made),
        first_at, last_at, now(), said, made, input_tokens, output_tokens
    FROM summary
    ORDER BY conversation_id, tenant_id
    ON CONFLICT (conversation_id, tenant_id) DO UPDATE SET
        (user_id, owned_since, owner_event_id) = (
            SELECT claims.user_id, claims.occurred_at, claims.event_id
            FROM (VALUES
                (held.user_id, held.owned_since, held.owner_event_id),
                (excluded.user_id, excluded.owned_since, excluded.owner_event_id)
            ) AS claims (user_id, occurred_at, event_id)
            WHERE claims.user_id IS NOT NULL
              -- Somebody else became the owner since the snapshot was taken: divide by zero. That undoes the whole
              -- statement, and its repetition sees the owner. A violated constraint would do the same, but have the
              -- server log the row.
              AND 1 = 1 / CASE
                WHEN $1::bool AND held.user_id IS NOT NULL AND held.user_id IS DISTINCT FROM excluded.user_id THEN 0
                ELSE 1
              END
            ORDER BY claims.occurred_at NULLS LAST, claims.event_id
            LIMIT 1
        ),
        (last_message_at, last_event_id, s3_key, metadata) = (
            SELECT
                turn.happened_at, turn.event_id, turn.s3_key,
                coalesce(turn.metadata, '{}') || jsonb_build_object(
                    'implementations_count', held.implementation_count + excluded.implementation_count
                )
            FROM (VALUES
                (held.last_message_at, held.last_event_id, held.s3_key, held.metadata),
                (excluded.last_message_at, excluded.last_event_id, excluded.s3_key, excluded.metadata)
            ) AS turn (happened_at, event_id, s3_key, metadata)
            ORDER BY turn.happened_at DESC, turn.event_id DESC
            LIMIT 1
        ),
        created_at = least(held.created_at, excluded.created_at),
        updated_at = excluded.updated_at,
        message_count = held.message_count + excluded.message_count,
        implementation_count = held.implementation_count + excluded.implementation_count,
        input_tokens = held.input_tokens + excluded.input_tokens,
        output_tokens = held.output_tokens + excluded.output_tokens
)
SELECT position, status FROM decided
