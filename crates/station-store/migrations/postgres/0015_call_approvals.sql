-- A call of a client that cannot be asked waits for a person like that of a run, without one and without an agent.

alter table approvals alter column run_id drop not null;
alter table approvals alter column agent_id drop not null;
-- Who calls, where no run does.
alter table approvals add column caller text;
alter table approvals add constraint approvals_asker
  check ((run_id is null) = (caller is not null) and (run_id is null) = (agent_id is null));

-- What was said of a call of a client is looked up by the call.
create index approvals_call on approvals (server_id, tool, id) where run_id is null;
