CREATE TABLE collection (
  id uuid PRIMARY KEY,
  -- A user's id, or `service:<name>`.
  owner text NOT NULL,
  name text COLLATE "C" NOT NULL,
  request_id uuid,
  dimensions integer NOT NULL CHECK (dimensions BETWEEN 1 AND 4096),
  metric text NOT NULL CHECK (metric IN ('cosine', 'inner-product', 'squared-euclidean')),
  embedding text NOT NULL CHECK (embedding IN ('built-in', 'remote', 'none')),
  model text NOT NULL,
  -- The number of the last change. A writer raises it first and so holds the row until it commits: changes become visible in the order of
  -- their numbers, and who has read up to one has missed none before it.
  change bigint NOT NULL DEFAULT 0,
  -- Removed items are remembered for a while, for those who follow the changes; who has read less than this must begin anew.
  purged_change bigint NOT NULL DEFAULT 0,
  item_count bigint NOT NULL DEFAULT 0,
  create_time timestamptz NOT NULL,
  UNIQUE (owner, name),
  UNIQUE (owner, request_id)
);

CREATE TABLE item (
  collection_id uuid NOT NULL REFERENCES collection ON DELETE CASCADE,
  id text COLLATE "C" NOT NULL,
  -- What indexes call it.
  key bigint GENERATED ALWAYS AS IDENTITY,
  text text NOT NULL,
  -- Single floats, little-endian, as they came. Null once the item is removed.
  vector bytea,
  metadata jsonb,
  change bigint NOT NULL,
  removed boolean NOT NULL DEFAULT false,
  update_time timestamptz NOT NULL,
  PRIMARY KEY (collection_id, id),
  CHECK (removed = (vector IS NULL))
);

-- Vectors do not compress.
ALTER TABLE item ALTER COLUMN vector SET STORAGE EXTERNAL;

CREATE INDEX item_changes ON item (collection_id, change, key);
CREATE UNIQUE INDEX item_key ON item (key);
CREATE INDEX item_removed ON item (update_time) WHERE removed;
