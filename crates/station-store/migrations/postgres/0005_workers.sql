-- Workers: limits by model, and what a run waits for.

-- Since when a run waits for what `waiting_on` says, or for a worker.
alter table agent_runs add column waiting_since bigint;
update agent_runs set waiting_since = created_at where status = 'queued';

-- A claim counts what runs by environment, agent and model, without reading the rows. Without the lease: a renewal
-- shall not write an index.
drop index agent_runs_running;
create index agent_runs_running on agent_runs (environment_id, agent_id, model) where status = 'running';
