CREATE TABLE queue (
  -- What backends know it by.
  id uuid PRIMARY KEY,
  -- Sorted by its bytes, in every locale alike.
  name text COLLATE "C" NOT NULL UNIQUE,
  -- A user's id, or service:<name>.
  owner text NOT NULL,
  ordered boolean NOT NULL,
  visibility_ms bigint NOT NULL,
  max_deliveries integer NOT NULL,
  retention_ms bigint NOT NULL,
  deduplication_ms bigint NOT NULL,
  create_time timestamptz NOT NULL,
  update_time timestamptz NOT NULL,
  request_caller text,
  request_id uuid,
  -- SHA-256, in hex, of what was asked for: tells a repeat from another request under the same id.
  content_hash text,
  UNIQUE (request_caller, request_id)
);
CREATE INDEX queue_owner ON queue (owner, name);

CREATE TABLE queue_grant (
  queue_id uuid NOT NULL REFERENCES queue ON DELETE CASCADE,
  user_id uuid NOT NULL,
  publish boolean NOT NULL,
  consume boolean NOT NULL,
  PRIMARY KEY (queue_id, user_id)
);
CREATE INDEX queue_grant_user ON queue_grant (user_id);

-- The keys that were published within a queue's window, and the request ids of a day: `key:<deduplication_key>` and
-- `request:<caller>:<request_id>`.
CREATE TABLE deduplication (
  queue_id uuid NOT NULL REFERENCES queue ON DELETE CASCADE,
  key text COLLATE "C" NOT NULL,
  message_id uuid NOT NULL,
  -- Of what was asked for under a request id; null for deduplication keys, of which the first wins.
  content_hash text,
  expire_time timestamptz NOT NULL,
  PRIMARY KEY (queue_id, key)
);
CREATE INDEX deduplication_expire ON deduplication (expire_time);

-- Messages that were given up, from either backend: neither pg-boss's dead letter queues nor a broker's can be listed by page, tell why a
-- message is there, or give back some of them in order.
CREATE TABLE dead_letter (
  queue_id uuid NOT NULL REFERENCES queue ON DELETE CASCADE,
  message_id uuid NOT NULL,
  -- JSON texts, byte for byte as they came.
  data text NOT NULL,
  headers jsonb NOT NULL,
  priority integer NOT NULL,
  ordering_key text NOT NULL,
  delivery_count integer NOT NULL,
  reason text NOT NULL,
  publish_time timestamptz NOT NULL,
  dead_time timestamptz NOT NULL,
  PRIMARY KEY (queue_id, message_id)
);
CREATE INDEX dead_letter_time ON dead_letter (queue_id, dead_time, message_id);

-- What waits to be handed to RabbitMQ: messages that are not due, those that a consumer gave back, and those that were published together
-- with a row of `deduplication`. Empty on PostgreSQL, where pg-boss keeps all messages.
CREATE TABLE held_message (
  queue_id uuid NOT NULL REFERENCES queue ON DELETE CASCADE,
  message_id uuid NOT NULL,
  data text NOT NULL,
  headers jsonb NOT NULL,
  priority integer NOT NULL,
  ordering_key text NOT NULL,
  publish_time timestamptz NOT NULL,
  -- When it is handed over, and in which order among equals. One message can be held twice for a moment: a consumer may give it back before
  -- the one who handed it over has said so here.
  due_time timestamptz NOT NULL,
  sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- How often it was delivered, and handed over, so far.
  delivery_count integer NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  -- Whoever hands it over has it until then, for the case that it dies.
  lease_until timestamptz
);
CREATE INDEX held_message_due ON held_message (due_time, sequence);
CREATE INDEX held_message_queue ON held_message (queue_id, due_time, message_id);
