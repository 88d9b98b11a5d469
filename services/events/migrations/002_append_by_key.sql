-- Each request id is looked up by itself. A function's plans are made once, when tables are as good as empty, and kept until they are next
-- analysed: as a join it read all that a topic had ever accepted, for each append. LIMIT keeps the planner from making a join of it again.
CREATE OR REPLACE FUNCTION append_events(p_topic integer, p_segment integer, p_now timestamptz, p_ids uuid[], p_request_ids uuid[],
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
    FROM unnest(p_callers, p_request_ids) WITH ORDINALITY AS i(caller, request_id, n) CROSS JOIN LATERAL (
      SELECT * FROM accepted WHERE topic_id = p_topic AND accepted.caller = i.caller AND accepted.request_id = i.request_id LIMIT 1) a;
  GET DIAGNOSTICS v_known = ROW_COUNT;
  IF v_known > 0 THEN
    INSERT INTO log (time, kind, topic, first_position, last_position, count, producer)
      SELECT v_now, 'repeated', t.name, min(a.position), max(a.position), count(*), i.producer
      FROM unnest(p_callers, p_request_ids, p_producers) AS i(caller, request_id, producer) CROSS JOIN LATERAL (
        SELECT * FROM accepted WHERE topic_id = p_topic AND accepted.caller = i.caller AND accepted.request_id = i.request_id LIMIT 1) a
      GROUP BY i.producer;
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
    WHERE v_known = 0 OR i.request_id IS NULL OR (
      SELECT a.position FROM accepted a WHERE a.topic_id = p_topic AND a.caller = i.caller AND a.request_id = i.request_id LIMIT 1) IS NULL
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
