-- The queue is the runs themselves: what is claimed first, what was asked to end, what wakes a parked run.

-- Higher is claimed first.
alter table agent_runs add column priority integer not null default 0;

-- Who asked for the run's end, and when; the driver that reads it ends the run.
alter table agent_runs add column cancel_requested_by text;
alter table agent_runs add column cancel_requested_at integer;

-- 1 where a parked run waits for its children, so that the last of them puts it back in the queue.
alter table agent_runs add column waits_for_children integer not null default 0;

-- Until now children were all that a run could wait for. One whose children have all ended is ready.
update agent_runs set waits_for_children = 1 where status = 'waiting';
update agent_runs set waits_for_children = 0, waiting_on = null, status = 'queued'
  where status = 'waiting' and not exists (
    select 1 from agent_runs child
    where child.parent_id = agent_runs.id and child.status in ('queued', 'running', 'waiting'));

-- A claim reads the first few of each environment from here, however many runs are parked or over.
create index agent_runs_queued on agent_runs (environment_id, priority desc, id) where status = 'queued';

-- How many run in each environment and of each agent, and whose lease lapsed, without reading the rows.
create index agent_runs_running on agent_runs (environment_id, agent_id, lease_boot, lease_until)
  where status = 'running';
