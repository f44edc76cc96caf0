-- Calls that wait for a person, what persons decided, and the chain in which every decision is kept.

create table approvals (
  id integer constraint approvals_pk primary key autoincrement,
  run_id integer not null constraint approvals_run_fk references agent_runs (id),
  -- The call: one question per effect, whoever repeats it.
  effect_id text not null constraint approvals_effect_unique unique,
  agent_id integer not null constraint approvals_agent_fk references agents (id),
  environment_id integer not null constraint approvals_environment_fk references environments (id),
  server_id integer not null constraint approvals_server_fk references mcp_servers (id),
  tool text not null,
  -- What the person is shown: JSON of the arguments.
  arguments text not null,
  -- What a yes is bound to: JSON of core::approval::Basis.
  basis text not null,
  -- `pending`, `approved`, `denied`, `timed_out`, or `void`: its run ended, or what it was asked for has changed.
  status text not null,
  asked_at integer not null,
  expires_at integer,
  decided_at integer,
  decided_by text,
  reason text,
  -- When a call was sent on it.
  used_at integer,
  -- 1 when the decision stands in the run's journal; until then the run must not park.
  heard integer not null default 0
) strict;

create index approvals_pending on approvals (id) where status = 'pending';
create index approvals_expiring on approvals (expires_at) where status = 'pending';
create index approvals_run on approvals (run_id, id);

-- A standing yes: every call of one tool by one agent, as long as the tool is defined as it was.
create table standing_approvals (
  id integer constraint standing_approvals_pk primary key autoincrement,
  agent_id integer not null constraint standing_approvals_agent_fk references agents (id),
  server_id integer not null constraint standing_approvals_server_fk references mcp_servers (id),
  tool text not null,
  definition_hash text not null,
  approval_id integer not null constraint standing_approvals_approval_fk references approvals (id),
  made_at integer not null,
  made_by text not null,
  uses integer not null default 0,
  used_at integer,
  revoked_at integer,
  revoked_by text
) strict;

create unique index standing_approvals_unique on standing_approvals (agent_id, server_id, tool, definition_hash)
  where revoked_at is null;

-- What persons said became of calls whose outcome was unknown; read by the run's next driver.
create table settlements (
  effect_id text not null constraint settlements_pk primary key,
  run_id integer not null constraint settlements_run_fk references agent_runs (id),
  -- 1 where the call took effect.
  done integer not null,
  note text not null,
  settled_at integer not null,
  settled_by text not null,
  heard integer not null default 0
) strict;

create index settlements_run on settlements (run_id) where heard = 0;

-- Append-only, and each row names the hash of the one before it, so that a row that was changed or taken out is seen.
create table audit (
  -- 1, 2, 3, … without gaps.
  seq integer not null constraint audit_pk primary key,
  at integer not null,
  actor text not null,
  action text not null,
  subject text not null,
  -- JSON.
  detail text not null,
  previous text not null,
  hash text not null
) strict;
