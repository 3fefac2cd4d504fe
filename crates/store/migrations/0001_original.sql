-- The tables of the original capture function, as they are in a database that it used before us. Both of its programs
-- made them; one also gave `conversations` a column `vector_embedding`, which nothing ever wrote. It is kept where it
-- is and not made where it is not: it would need an extension.

CREATE TABLE IF NOT EXISTS conversations (
    conversation_id varchar(255) PRIMARY KEY,
    user_id         varchar(255),
    created_at      timestamp DEFAULT CURRENT_TIMESTAMP,
    updated_at      timestamp DEFAULT CURRENT_TIMESTAMP,
    metadata        jsonb,
    s3_key          varchar(500)
);

CREATE TABLE IF NOT EXISTS messages (
    message_id      varchar(255) PRIMARY KEY,
    conversation_id varchar(255) REFERENCES conversations (conversation_id),
    role            varchar(50) NOT NULL,
    content         text NOT NULL,
    "timestamp"     timestamp DEFAULT CURRENT_TIMESTAMP,
    metadata        jsonb,
    tokens_used     integer
);

CREATE TABLE IF NOT EXISTS implementations (
    implementation_id   varchar(255) PRIMARY KEY,
    conversation_id     varchar(255) REFERENCES conversations (conversation_id),
    file_path           varchar(500),
    implementation_type varchar(100),
    functionality       text,
    code_snippet        text,
    created_at          timestamp DEFAULT CURRENT_TIMESTAMP
);
