-- How often anything changed that says what agents are and may do. A gate that has read all of it once asks for this one
-- number instead of reading it again. Counted by the tables themselves: no writer, of this version or another, can forget.

alter table store add column generation integer not null default 0;

create trigger environments_insert_counts after insert on environments begin update store set generation = generation + 1; end;
create trigger environments_update_counts after update on environments begin update store set generation = generation + 1; end;
create trigger environments_delete_counts after delete on environments begin update store set generation = generation + 1; end;

create trigger variables_insert_counts after insert on variables begin update store set generation = generation + 1; end;
create trigger variables_update_counts after update on variables begin update store set generation = generation + 1; end;
create trigger variables_delete_counts after delete on variables begin update store set generation = generation + 1; end;

create trigger agents_insert_counts after insert on agents begin update store set generation = generation + 1; end;
create trigger agents_update_counts after update on agents begin update store set generation = generation + 1; end;
create trigger agents_delete_counts after delete on agents begin update store set generation = generation + 1; end;

create trigger agent_sources_insert_counts after insert on agent_sources begin update store set generation = generation + 1; end;
create trigger agent_sources_update_counts after update on agent_sources begin update store set generation = generation + 1; end;
create trigger agent_sources_delete_counts after delete on agent_sources begin update store set generation = generation + 1; end;

create trigger agent_agents_insert_counts after insert on agent_agents begin update store set generation = generation + 1; end;
create trigger agent_agents_update_counts after update on agent_agents begin update store set generation = generation + 1; end;
create trigger agent_agents_delete_counts after delete on agent_agents begin update store set generation = generation + 1; end;

create trigger agent_tools_insert_counts after insert on agent_tools begin update store set generation = generation + 1; end;
create trigger agent_tools_update_counts after update on agent_tools begin update store set generation = generation + 1; end;
create trigger agent_tools_delete_counts after delete on agent_tools begin update store set generation = generation + 1; end;

create trigger mcp_configs_insert_counts after insert on mcp_configs begin update store set generation = generation + 1; end;
create trigger mcp_configs_update_counts after update on mcp_configs begin update store set generation = generation + 1; end;
create trigger mcp_configs_delete_counts after delete on mcp_configs begin update store set generation = generation + 1; end;

create trigger mcp_servers_insert_counts after insert on mcp_servers begin update store set generation = generation + 1; end;
create trigger mcp_servers_update_counts after update on mcp_servers begin update store set generation = generation + 1; end;
create trigger mcp_servers_delete_counts after delete on mcp_servers begin update store set generation = generation + 1; end;

create trigger mcp_tools_insert_counts after insert on mcp_tools begin update store set generation = generation + 1; end;
create trigger mcp_tools_update_counts after update on mcp_tools begin update store set generation = generation + 1; end;
create trigger mcp_tools_delete_counts after delete on mcp_tools begin update store set generation = generation + 1; end;
