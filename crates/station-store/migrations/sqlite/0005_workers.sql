-- Workers: limits by model.

-- A claim counts what runs by environment, agent and model, without reading the rows.
drop index agent_runs_running;
create index agent_runs_running on agent_runs (environment_id, agent_id, model, lease_boot, lease_until)
  where status = 'running';
