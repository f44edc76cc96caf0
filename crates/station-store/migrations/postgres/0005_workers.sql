-- Workers: limits by model.

-- A claim counts what runs by environment, agent and model, without reading the rows. Without the lease: a renewal
-- shall not write an index.
drop index agent_runs_running;
create index agent_runs_running on agent_runs (environment_id, agent_id, model) where status = 'running';
