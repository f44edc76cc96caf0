-- How often anything changed that says what agents are and may do. A gate that has read all of it once asks for this one
-- number instead of reading it again. Counted by the tables themselves: no writer, of this version or another, can forget.

alter table store add column generation bigint not null default 0;

create function raise_generation() returns trigger language plpgsql as $$
begin
  update station.store set generation = generation + 1;
  return null;
end
$$;

create trigger environments_counts after insert or update or delete on environments
  for each statement execute function raise_generation();
create trigger variables_counts after insert or update or delete on variables
  for each statement execute function raise_generation();
create trigger agents_counts after insert or update or delete on agents
  for each statement execute function raise_generation();
create trigger agent_sources_counts after insert or update or delete on agent_sources
  for each statement execute function raise_generation();
create trigger agent_agents_counts after insert or update or delete on agent_agents
  for each statement execute function raise_generation();
create trigger agent_tools_counts after insert or update or delete on agent_tools
  for each statement execute function raise_generation();
create trigger mcp_configs_counts after insert or update or delete on mcp_configs
  for each statement execute function raise_generation();
create trigger mcp_servers_counts after insert or update or delete on mcp_servers
  for each statement execute function raise_generation();
create trigger mcp_tools_counts after insert or update or delete on mcp_tools
  for each statement execute function raise_generation();
