-- Since when a server is down: `problem_at` moves with each try, this does not.

alter table mcp_servers add column down_since integer;

update mcp_servers set down_since = problem_at where problem is not null;
