CREATE TABLE topic (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- Sorted by its bytes, in every locale alike.
  name text COLLATE "C" NOT NULL UNIQUE,
  description text NOT NULL DEFAULT '',
  partitions integer NOT NULL CHECK (partitions BETWEEN 1 AND 256),
  -- Null: for ever.
  retention_ms bigint CHECK (retention_ms > 0),
  -- 0: any number.
  retention_bytes bigint NOT NULL DEFAULT 0 CHECK (retention_bytes >= 0),
  -- Whether everybody who is signed in reads all of it, or publishes to it.
  open_to_readers boolean NOT NULL DEFAULT false,
  open_to_publishers boolean NOT NULL DEFAULT false,
  -- The events that are kept are those at first_position and behind it, up to next_position.
  first_position bigint NOT NULL DEFAULT 1,
  next_position bigint NOT NULL DEFAULT 1,
  -- The last position that the segments have room for.
  segment_end bigint NOT NULL DEFAULT 0,
  -- Bytes of all events that were ever stored, and of those that were removed.
  bytes bigint NOT NULL DEFAULT 0,
  expired_bytes bigint NOT NULL DEFAULT 0,
  last_time timestamptz,
  create_time timestamptz NOT NULL DEFAULT now(),
  CHECK (first_position <= next_position)
) WITH (fillfactor = 50);

-- The log: a partition per topic, and below it segments of consecutive positions, so that what expires is dropped and not deleted.
CREATE TABLE event (
  topic_id integer NOT NULL,
  position bigint NOT NULL,
  id uuid NOT NULL,
  partition smallint NOT NULL,
  key text NOT NULL,
  type text NOT NULL,
  -- JSON, as text: nobody searches in it, and jsonb does not take every text that JSON can say.
  data text NOT NULL,
  producer text NOT NULL,
  occur_time timestamptz NOT NULL,
  store_time timestamptz NOT NULL,
  -- Bytes of key, type and data; and those of the topic up to this event, itself included.
  size integer NOT NULL,
  end_bytes bigint NOT NULL,
  PRIMARY KEY (topic_id, position)
) PARTITION BY LIST (topic_id);

CREATE INDEX event_partition ON event (topic_id, partition, position);
CREATE INDEX event_producer ON event (topic_id, producer, position);

-- Which requests were accepted, so that a repeat is recognized.
CREATE TABLE accepted (
  topic_id integer NOT NULL REFERENCES topic,
  caller text NOT NULL,
  request_id uuid NOT NULL,
  -- SHA-256, in hex, of what was asked for: tells a repeat from another request under the same id.
  content_hash text NOT NULL,
  position bigint NOT NULL,
  event_id uuid NOT NULL,
  partition smallint NOT NULL,
  store_time timestamptz NOT NULL,
  PRIMARY KEY (topic_id, caller, request_id)
);

CREATE INDEX accepted_age ON accepted (store_time);

-- How far a topic has come to Kafka. Apart from the topic, so that the relay and those who append never wait for each other.
CREATE TABLE relay (
  topic_id integer PRIMARY KEY REFERENCES topic,
  position bigint NOT NULL DEFAULT 0,
  -- The process that relayed last; another one first looks what Kafka has.
  owner text NOT NULL DEFAULT '',
  success_time timestamptz,
  -- What went wrong in the last attempt; empty when nothing did.
  error text NOT NULL DEFAULT ''
);

CREATE TABLE log (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  time timestamptz NOT NULL,
  kind text NOT NULL,
  topic text NOT NULL,
  first_position bigint NOT NULL DEFAULT 0,
  last_position bigint NOT NULL DEFAULT 0,
  count bigint NOT NULL DEFAULT 0,
  producer text NOT NULL DEFAULT '',
  detail text NOT NULL DEFAULT ''
);

CREATE INDEX log_producer ON log (producer, id);
CREATE INDEX log_topic ON log (topic, id);

CREATE TABLE consumer_group (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  owner text NOT NULL,
  name text NOT NULL,
  topic_id integer NOT NULL REFERENCES topic,
  create_time timestamptz NOT NULL DEFAULT now(),
  UNIQUE (owner, name, topic_id)
);

CREATE TABLE member (
  id uuid PRIMARY KEY,
  group_id bigint NOT NULL REFERENCES consumer_group ON DELETE CASCADE,
  join_time timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- A member that has not been heard of since is gone.
  lease_until timestamptz NOT NULL
);

CREATE INDEX member_group ON member (group_id, join_time, id);

-- Every time that a partition gets a reader, or its place is moved, is a generation.
CREATE SEQUENCE claim_generation;

CREATE TABLE claim (
  group_id bigint NOT NULL REFERENCES consumer_group ON DELETE CASCADE,
  partition smallint NOT NULL,
  -- The last event that the group is done with.
  committed bigint NOT NULL,
  generation bigint NOT NULL DEFAULT nextval('claim_generation'),
  member uuid,
  PRIMARY KEY (group_id, partition)
);

-- Makes a topic and its part of the log; null when the name is taken. Parts are attached to the log, not created in it, since that
-- would wait for every reader and stop every other.
CREATE FUNCTION create_topic(p_name text, p_description text, p_partitions integer, p_retention_ms bigint, p_retention_bytes bigint,
  p_open_to_readers boolean, p_open_to_publishers boolean) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  made integer;
BEGIN
  INSERT INTO topic (name, description, partitions, retention_ms, retention_bytes, open_to_readers, open_to_publishers)
    VALUES (p_name, p_description, p_partitions, p_retention_ms, p_retention_bytes, p_open_to_readers, p_open_to_publishers)
    ON CONFLICT (name) DO NOTHING RETURNING id INTO made;
  IF made IS NULL THEN
    RETURN NULL;
  END IF;
  INSERT INTO relay (topic_id) VALUES (made);
  EXECUTE format('CREATE TABLE event_%s (LIKE event) PARTITION BY RANGE (position)', made);
  EXECUTE format('ALTER TABLE event ATTACH PARTITION event_%s FOR VALUES IN (%s)', made, made);
  PERFORM pg_notify('topic_changed', p_name);
  RETURN made;
END
$$;

CREATE FUNCTION add_segment(p_topic integer, p_from bigint, p_count integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE TABLE event_%s_%s (LIKE event)', p_topic, p_from);
  EXECUTE format('ALTER TABLE event_%s ATTACH PARTITION event_%s_%s FOR VALUES FROM (%s) TO (%s)',
    p_topic, p_topic, p_from, p_from, p_from + p_count);
END
$$;

-- Appends to a topic, in the order of the arrays, what was not accepted before, and answers with the place of each.
--
-- The topic's row stays locked until the commit: so positions have no gaps, are visible in their order, and a reader that has seen
-- one has seen all before it. Many events in one call share the lock, the commit and the announcement.
CREATE FUNCTION append_events(p_topic integer, p_segment integer, p_now timestamptz, p_ids uuid[], p_request_ids uuid[],
  p_callers text[], p_hashes text[], p_producers text[], p_keys text[], p_key_hashes integer[], p_types text[], p_data text[],
  p_sizes integer[], p_occur_times timestamptz[])
RETURNS TABLE (ordinal integer, at_position bigint, event_id uuid, in_partition integer, stored_at timestamptz, content_hash text,
  repeated boolean) LANGUAGE plpgsql AS $$
DECLARE
  t topic%ROWTYPE;
  v_now timestamptz;
  v_known integer;
BEGIN
  SELECT * INTO STRICT t FROM topic WHERE topic.id = p_topic FOR UPDATE;
  v_now := greatest(p_now, t.last_time);

  RETURN QUERY SELECT i.n::integer, a.position, a.event_id, a.partition::integer, a.store_time, a.content_hash, true
    FROM unnest(p_callers, p_request_ids) WITH ORDINALITY AS i(caller, request_id, n)
    JOIN accepted a ON a.topic_id = p_topic AND a.caller = i.caller AND a.request_id = i.request_id;
  GET DIAGNOSTICS v_known = ROW_COUNT;
  IF v_known > 0 THEN
    INSERT INTO log (time, kind, topic, first_position, last_position, count, producer)
      SELECT v_now, 'repeated', t.name, min(a.position), max(a.position), count(*), i.producer
      FROM unnest(p_callers, p_request_ids, p_producers) AS i(caller, request_id, producer)
      JOIN accepted a ON a.topic_id = p_topic AND a.caller = i.caller AND a.request_id = i.request_id GROUP BY i.producer;
  END IF;
  IF v_known = cardinality(p_ids) THEN
    RETURN;
  END IF;

  WHILE t.segment_end < t.next_position + cardinality(p_ids) - 1 LOOP
    PERFORM add_segment(p_topic, t.segment_end + 1, p_segment);
    t.segment_end := t.segment_end + p_segment;
  END LOOP;

  RETURN QUERY WITH fresh AS (
    SELECT i.*, t.next_position + row_number() OVER w - 1 AS place, sum(i.size) OVER w AS run,
      i.key_hash % t.partitions AS part
    FROM unnest(p_ids, p_request_ids, p_callers, p_hashes, p_producers, p_keys, p_key_hashes, p_types, p_data, p_sizes,
      p_occur_times) WITH ORDINALITY
      AS i(id, request_id, caller, hash, producer, key, key_hash, type, data, size, occur_time, n)
    WHERE v_known = 0 OR i.request_id IS NULL OR NOT EXISTS (
      SELECT FROM accepted a WHERE a.topic_id = p_topic AND a.caller = i.caller AND a.request_id = i.request_id)
    WINDOW w AS (ORDER BY i.n)
  ), stored AS (
    INSERT INTO event (topic_id, position, id, partition, key, type, data, producer, occur_time, store_time, size, end_bytes)
      SELECT p_topic, place, f.id, part, f.key, f.type, f.data, f.producer, coalesce(f.occur_time, v_now), v_now, f.size, t.bytes + run
      FROM fresh f ORDER BY place
  ), remembered AS (
    INSERT INTO accepted (topic_id, caller, request_id, content_hash, position, event_id, partition, store_time)
      SELECT p_topic, f.caller, f.request_id, f.hash, place, f.id, part, v_now FROM fresh f WHERE f.request_id IS NOT NULL
  ), counted AS (
    UPDATE topic SET next_position = t.next_position + f.count, bytes = t.bytes + f.sum, last_time = v_now, segment_end = t.segment_end
      FROM (SELECT count(*), sum(f.size) FROM fresh f) f WHERE topic.id = p_topic
  ), logged AS (
    INSERT INTO log (time, kind, topic, first_position, last_position, count, producer, detail)
      SELECT v_now, 'stored', t.name, min(place), max(place), count(*), f.producer, CASE WHEN count(*) = 1 THEN min(f.type) ELSE '' END
      FROM fresh f GROUP BY f.producer
  )
  SELECT f.n::integer, place, f.id, part, v_now, f.hash, false FROM fresh f;
  PERFORM pg_notify('event_stored', p_topic || ':' || (SELECT next_position - 1 FROM topic WHERE topic.id = p_topic));
END
$$;

-- The last position that was stored before a time; first_position - 1 when there is none. Times grow with positions.
CREATE FUNCTION position_before(p_topic integer, p_time timestamptz) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
  low bigint;
  high bigint;
  middle bigint;
  v_time timestamptz;
BEGIN
  SELECT first_position - 1, next_position - 1 INTO low, high FROM topic WHERE id = p_topic;
  WHILE low < high LOOP
    middle := (low + high + 1) / 2;
    EXECUTE 'SELECT store_time FROM event WHERE topic_id = $1 AND position = $2' INTO v_time USING p_topic, middle;
    IF v_time < p_time THEN low := middle; ELSE high := middle - 1; END IF;
  END LOOP;
  RETURN low;
END
$$;

-- The last position up to which at most so many bytes of the topic lie; first_position - 1 when there is none.
CREATE FUNCTION position_within(p_topic integer, p_bytes bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
  low bigint;
  high bigint;
  middle bigint;
  v_bytes bigint;
BEGIN
  SELECT first_position - 1, next_position - 1 INTO low, high FROM topic WHERE id = p_topic;
  WHILE low < high LOOP
    middle := (low + high + 1) / 2;
    EXECUTE 'SELECT end_bytes FROM event WHERE topic_id = $1 AND position = $2' INTO v_bytes USING p_topic, middle;
    IF v_bytes <= p_bytes THEN low := middle; ELSE high := middle - 1; END IF;
  END LOOP;
  RETURN low;
END
$$;

-- Where people publish who name no topic.
SELECT create_topic('events', 'Whatever has no topic of its own.', 4, 30 * 86400000::bigint, 1073741824, false, true);
