-- What waits to be published. A row is deleted once the receiver has it.
CREATE TABLE heddle_outbox.event (
  -- The order within a topic and key: see put.
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id uuid NOT NULL UNIQUE,
  topic text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  type text NOT NULL,
  data jsonb NOT NULL,
  time timestamptz NOT NULL,
  -- Of the first event of a topic and key alone: the others wait for it.
  attempts integer NOT NULL DEFAULT 0,
  next_attempt_time timestamptz NOT NULL,
  last_error text NOT NULL DEFAULT '',
  -- The relay that is at it now; its claim ends at lease_until, for the case that it died.
  lease_id uuid,
  lease_until timestamptz
);

CREATE UNIQUE INDEX event_order ON heddle_outbox.event (topic, key, seq);
CREATE INDEX event_lease ON heddle_outbox.event (lease_id) WHERE lease_id IS NOT NULL;

-- What the receiver refused for good. It stays until a person has looked: SELECT heddle_outbox.retry(id), or DELETE.
CREATE TABLE heddle_outbox.parked (
  id uuid PRIMARY KEY,
  topic text NOT NULL,
  key text NOT NULL,
  type text NOT NULL,
  data jsonb NOT NULL,
  time timestamptz NOT NULL,
  attempts integer NOT NULL,
  reason text NOT NULL,
  park_time timestamptz NOT NULL
);

-- Puts an event behind those of its topic and key. Transactions that put to the same key take turns until they end, since otherwise one
-- that took its number first could commit last, after the relay had gone past it. An id that waits already is left as it is.
CREATE FUNCTION heddle_outbox.put(_id uuid, _topic text, _key text, _type text, _data jsonb, _time timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(_topic || chr(1) || _key, 7239402));
  INSERT INTO heddle_outbox.event (id, topic, key, type, data, time, next_attempt_time)
    VALUES (_id, _topic, _key, _type, _data, _time, _time) ON CONFLICT (id) DO NOTHING;
  PERFORM pg_notify('heddle_outbox', '');
END
$$;

-- Publishes a parked event again, behind all that waits of its topic and key. False when it is not parked.
CREATE FUNCTION heddle_outbox.retry(_id uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  _event heddle_outbox.parked;
BEGIN
  DELETE FROM heddle_outbox.parked WHERE id = _id RETURNING * INTO _event;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM heddle_outbox.put(_event.id, _event.topic, _event.key, _event.type, _event.data, _event.time);
  RETURN true;
END
$$;
