-- Users, sessions, second factors, API keys, keys that sign tokens, lock-out, audit.

create table users (
  id uuid primary key,
  email text not null,
  -- The address without regard to case: what it is compared by.
  email_key text not null constraint users_email_taken unique,
  name text not null,
  password_hash text not null,
  roles text[] not null default '{}',
  email_verified boolean not null default false,
  create_time timestamptz not null,
  update_time timestamptz not null,
  request_id uuid constraint users_request_id_taken unique
);

-- One row per signed-in session, that is per family of refresh tokens.
create table sessions (
  id uuid primary key,
  user_id uuid not null references users on delete cascade,
  create_time timestamptz not null,
  last_used_time timestamptz not null,
  expire_time timestamptz not null,
  end_time timestamptz,
  ip_address text not null,
  user_agent text not null
);
create index sessions_by_user on sessions (user_id, id desc) where end_time is null;
create index sessions_by_expiry on sessions (expire_time);

-- Used ones stay until their session is swept: an old one that comes again gives a thief away.
create table refresh_tokens (
  hash bytea primary key,
  session_id uuid not null references sessions on delete cascade,
  use_time timestamptz
);
create index refresh_tokens_by_session on refresh_tokens (session_id);

-- Sessions and API keys whose access tokens must not count although they have not expired.
create table revocations (
  session_id uuid primary key,
  forget_time timestamptz not null
);

create table second_factors (
  user_id uuid primary key references users on delete cascade,
  -- The TOTP secret, encrypted.
  secret bytea not null,
  confirm_time timestamptz,
  -- The last 30 s step whose code was used; a code works once.
  last_step bigint not null default 0
);
create table recovery_codes (
  user_id uuid not null references second_factors on delete cascade,
  hash bytea not null,
  use_time timestamptz,
  primary key (user_id, hash)
);

create table api_keys (
  id uuid primary key,
  user_id uuid not null references users on delete cascade,
  hash bytea not null unique,
  prefix text not null,
  name text not null,
  scopes text[] not null,
  create_time timestamptz not null,
  last_used_time timestamptz,
  expire_time timestamptz,
  revoke_time timestamptz,
  request_id uuid,
  constraint api_keys_request_id_taken unique (user_id, request_id)
);
create index api_keys_by_user on api_keys (user_id, id desc);

create table signing_keys (
  kid text primary key,
  -- The public half, base64url.
  x text not null,
  -- The private half, encrypted.
  secret bytea not null,
  -- From when on it signs; it is published from its creation on.
  start_time timestamptz not null
);

-- Failed attempts by account ("account:ada@example.com"), address ("address:192.0.2.1") or signed-in user ("user:<id>").
create table attempts (
  key text primary key,
  failures integer not null,
  last_time timestamptz not null,
  locked_until timestamptz
);

create table email_tokens (
  hash bytea primary key,
  user_id uuid not null references users on delete cascade,
  email_key text not null,
  expire_time timestamptz not null
);
create index email_tokens_by_user on email_tokens (user_id);

-- Mails to hand over to the notification service; gone once it has them.
create table pending_mails (
  id uuid primary key,
  user_id uuid not null,
  recipient text not null,
  template text not null,
  -- The template's values as JSON, encrypted: they contain a token.
  contents bytea not null,
  attempts integer not null default 0,
  next_attempt_time timestamptz not null,
  expire_time timestamptz not null
);
create index pending_mails_by_time on pending_mails (next_attempt_time);

create table audit_events (
  id uuid primary key,
  create_time timestamptz not null,
  action text not null,
  user_id uuid,
  success boolean not null,
  reason text not null,
  ip_address text not null,
  user_agent text not null,
  correlation_id text not null,
  session_id uuid,
  request_id uuid unique
);
create index audit_events_by_user on audit_events (user_id, id desc);
create index audit_events_by_action on audit_events (action, id desc);
