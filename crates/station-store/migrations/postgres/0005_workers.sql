-- Workers: limits by model, what a run waits for, which of them live, and what is handed to them with a run.

-- Since when a run waits for what `waiting_on` says, or for a worker.
alter table agent_runs add column waiting_since bigint;
update agent_runs set waiting_since = created_at where status = 'queued';

-- A claim counts what runs by environment, agent and model, without reading the rows. Without the lease: a renewal
-- shall not write an index.
drop index agent_runs_running;
create index agent_runs_running on agent_runs (environment_id, agent_id, model) where status = 'running';

-- When a run whose driver was gone was found: the time before does not count against it.
alter table agent_runs add column resumed_at bigint;

-- Workers that are there, on PostgreSQL; on SQLite they have a socket instead.
create table instances (
  id text not null constraint instances_pk primary key,
  worker text not null,
  host text not null,
  started_at bigint not null,
  -- By the lease clock, like `lease_until`.
  seen_at bigint not null,
  seen_boot text not null
);

-- Where a run's variable came from: 'given' with --var, or 'carried' from the environment of whoever queued it.
alter table run_variables add column origin text not null default 'given';
