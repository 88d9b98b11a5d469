-- Which instance holds an ordered queue of RabbitMQ, and what it settled there last. A broker that is killed forgets acknowledgements that it has
-- not written yet, and an instance those that it has not sent: whoever holds the queue next passes over what stands here, so that no message comes
-- again after a later one of its key.
CREATE TABLE hold (
  queue_id uuid PRIMARY KEY REFERENCES queue ON DELETE CASCADE,
  instance text NOT NULL
);

CREATE TABLE settled (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  queue_id uuid NOT NULL REFERENCES queue ON DELETE CASCADE,
  -- <message_id>/<run>: a message that is published again under its id is another one.
  message_key text COLLATE "C" NOT NULL,
  settle_time timestamptz NOT NULL
);
CREATE INDEX settled_queue ON settled (queue_id, number);
CREATE INDEX settled_time ON settled (settle_time);
