-- Runs that began with the journal of another one.

-- Which run, and after which of its steps. No reference: the other one may be gone by now, and the fork has all it needs.
alter table agent_runs add column forked_from bigint;
alter table agent_runs add column forked_at_step bigint;
