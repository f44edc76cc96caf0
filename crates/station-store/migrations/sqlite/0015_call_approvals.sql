-- A call of a client that cannot be asked waits for a person like that of a run, without one and without an agent. A constraint
-- cannot be taken off a column here: both tables are made anew, each with the numbers that it has given out.

create table standing_kept as select * from standing_approvals;
update sqlite_sequence set name = 'standing_kept' where name = 'standing_approvals';
drop table standing_approvals;

create table approvals_new (
  id integer constraint approvals_pk primary key autoincrement,
  run_id integer constraint approvals_run_fk references agent_runs (id),
  effect_id text not null constraint approvals_effect_unique unique,
  agent_id integer constraint approvals_agent_fk references agents (id),
  environment_id integer not null constraint approvals_environment_fk references environments (id),
  server_id integer not null constraint approvals_server_fk references mcp_servers (id),
  tool text not null,
  arguments text not null,
  basis text not null,
  status text not null,
  asked_at integer not null,
  expires_at integer,
  decided_at integer,
  decided_by text,
  reason text,
  used_at integer,
  heard integer not null default 0,
  -- Who calls, where no run does.
  caller text,
  constraint approvals_asker check ((run_id is null) = (caller is not null) and (run_id is null) = (agent_id is null))
) strict;

insert into approvals_new (id, run_id, effect_id, agent_id, environment_id, server_id, tool, arguments, basis, status,
    asked_at, expires_at, decided_at, decided_by, reason, used_at, heard)
  select id, run_id, effect_id, agent_id, environment_id, server_id, tool, arguments, basis, status,
    asked_at, expires_at, decided_at, decided_by, reason, used_at, heard from approvals;
delete from sqlite_sequence where name = 'approvals_new';
update sqlite_sequence set name = 'approvals_new' where name = 'approvals';
drop table approvals;
alter table approvals_new rename to approvals;

create index approvals_pending on approvals (id) where status = 'pending';
create index approvals_expiring on approvals (expires_at) where status = 'pending';
create index approvals_run on approvals (run_id, id);
-- What was said of a call of a client is looked up by the call.
create index approvals_call on approvals (server_id, tool, id) where run_id is null;

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

insert into standing_approvals select * from standing_kept;
drop table standing_kept;
delete from sqlite_sequence where name = 'standing_approvals';
update sqlite_sequence set name = 'standing_approvals' where name = 'standing_kept';

create unique index standing_approvals_unique on standing_approvals (agent_id, server_id, tool, definition_hash)
  where revoked_at is null;
