-- The events whose effect is in this database: a repeat is known by its id. Kept for as long as a repeat may come.
CREATE TABLE heddle_inbox.event (
  id uuid PRIMARY KEY,
  handle_time timestamptz NOT NULL
);

CREATE INDEX event_age ON heddle_inbox.event (handle_time);

-- Events that the service refused for good. They stay until a person has looked: POST /inbox/{id}/retry, or DELETE.
CREATE TABLE heddle_inbox.parked (
  id uuid PRIMARY KEY,
  topic text NOT NULL,
  key text NOT NULL,
  type text NOT NULL,
  data jsonb NOT NULL,
  producer text NOT NULL,
  -- The database's bigint: the event's place in its topic.
  position bigint NOT NULL,
  time timestamptz NOT NULL,
  reason text NOT NULL,
  park_time timestamptz NOT NULL
);
