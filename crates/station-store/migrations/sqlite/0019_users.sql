-- Who may use Station from elsewhere: users with their roles, the environments assigned to them, their API keys and their sessions.
-- The first user, `local`, is whoever has the store and its key: it has no password and no keys.

alter table users add column password_hash text;
alter table users add column created_at integer not null default 0;
-- A removed user keeps its row: what it did is told of by it. The same name returns with the same id.
alter table users add column removed_at integer;

-- Of administrators none: they see all.
create table user_environments (
  user_id integer not null constraint user_environments_user_fk references users (id),
  environment_id integer not null constraint user_environments_environment_fk references environments (id),
  constraint user_environments_pk primary key (user_id, environment_id)
) strict, without rowid;

create table api_keys (
  id integer constraint api_keys_pk primary key autoincrement,
  user_id integer not null constraint api_keys_user_fk references users (id),
  -- What it is for, in words.
  name text not null,
  -- SHA-256 of its secret part, as hex: by that it is found. The key itself is kept nowhere.
  hash text not null constraint api_keys_hash_unique unique,
  -- Words with blanks between them.
  scopes text not null,
  created_at integer not null,
  expires_at integer,
  last_used_at integer,
  revoked_at integer
) strict;

create index api_keys_user on api_keys (user_id);

-- Sign-ins of browsers.
create table sessions (
  -- SHA-256 of the cookie's value, as hex.
  hash text not null constraint sessions_pk primary key,
  user_id integer not null constraint sessions_user_fk references users (id),
  created_at integer not null,
  expires_at integer not null
) strict, without rowid;

create index sessions_user on sessions (user_id);

create trigger users_insert_counts after insert on users begin update store set generation = generation + 1; end;
create trigger users_update_counts after update on users begin update store set generation = generation + 1; end;
create trigger users_delete_counts after delete on users begin update store set generation = generation + 1; end;

create trigger user_environments_insert_counts after insert on user_environments begin update store set generation = generation + 1; end;
create trigger user_environments_update_counts after update on user_environments begin update store set generation = generation + 1; end;
create trigger user_environments_delete_counts after delete on user_environments begin update store set generation = generation + 1; end;
