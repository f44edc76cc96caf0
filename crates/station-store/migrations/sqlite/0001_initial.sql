-- Times are microseconds since 1970 in UTC, given by the caller: the store reads no wall clock.
-- A `removed_at` keeps the row, its id and its history; the same name returns with the same id.

create table store (
  id integer not null constraint store_pk primary key constraint store_single check (id = 1),
  version integer not null,
  -- Which key made this store; derived from it, tells nothing of it.
  key_id text not null
) strict;

create table users (
  id integer constraint users_pk primary key autoincrement,
  name text not null constraint users_name_unique unique,
  role text not null
) strict;

insert into users (id, name, role) values (1, 'local', 'admin');

create table environments (
  id integer constraint environments_pk primary key autoincrement,
  name text not null constraint environments_name_unique unique,
  description text not null,
  -- `file` or `store`: where the definition lives, and so who may change it.
  origin text not null,
  -- The workspace whose sync owns the row; empty for origin `store`.
  workspace_id text not null,
  -- The text of environment.yml as last applied; empty where there is none.
  rules text not null,
  -- Fingerprint of the files last applied without a problem: equal ones need no reading. Null where none were.
  files_seen text,
  created_at integer not null,
  updated_at integer not null,
  removed_at integer
) strict;

create table variables (
  environment_id integer not null
    constraint variables_environment_fk references environments (id),
  name text not null,
  -- Sealed.
  value blob not null,
  updated_at integer not null,
  constraint variables_pk primary key (environment_id, name)
) strict, without rowid;

create table agents (
  id integer constraint agents_pk primary key autoincrement,
  environment_id integer not null constraint agents_environment_fk references environments (id),
  name text not null,
  description text not null,
  -- The first model as written; the file says all of them.
  model text,
  -- A JSON array.
  tags text not null,
  path text,
  origin text not null,
  workspace_id text not null,
  enabled integer not null,
  user_id integer not null constraint agents_user_fk references users (id),
  created_at integer not null,
  updated_at integer not null,
  removed_at integer,
  constraint agents_name_unique unique (environment_id, name)
) strict;

-- Apart from agents, so that listing a thousand of them does not read, and decrypt, a thousand files.
create table agent_sources (
  agent_id integer constraint agent_sources_pk primary key
    constraint agent_sources_agent_fk references agents (id),
  -- The text of the .prompt file, byte for byte.
  source text not null
) strict;

create table agent_agents (
  agent_id integer not null constraint agent_agents_agent_fk references agents (id),
  position integer not null,
  -- The name as written; it stays when nothing bears it.
  written text not null,
  child_id integer constraint agent_agents_child_fk references agents (id),
  constraint agent_agents_pk primary key (agent_id, position)
) strict, without rowid;

create index agent_agents_child on agent_agents (child_id);

create table mcp_configs (
  id integer constraint mcp_configs_pk primary key autoincrement,
  environment_id integer not null constraint mcp_configs_environment_fk references environments (id),
  name text not null,
  path text not null,
  -- The whole file. Sealed: people write tokens into these.
  source blob not null,
  origin text not null,
  workspace_id text not null,
  created_at integer not null,
  updated_at integer not null,
  removed_at integer,
  constraint mcp_configs_name_unique unique (environment_id, name)
) strict;

create table mcp_servers (
  id integer constraint mcp_servers_pk primary key autoincrement,
  -- The file that defines it now; a server may move from one file to another and stays itself.
  config_id integer not null constraint mcp_servers_config_fk references mcp_configs (id),
  environment_id integer not null constraint mcp_servers_environment_fk references environments (id),
  name text not null,
  position integer not null,
  transport text not null,
  definition_hash text not null,
  -- Names of the variables its entry asks for, a JSON array; never their values.
  variables text not null,
  era text,
  -- Null where this definition was never listed.
  discovered_at integer,
  -- Why the last discovery failed, and when; null where it worked or never ran.
  problem text,
  problem_at integer,
  capabilities text not null,
  instructions text,
  removed_at integer,
  constraint mcp_servers_name_unique unique (environment_id, name)
) strict;

create index mcp_servers_config on mcp_servers (config_id);

create table mcp_tools (
  id integer constraint mcp_tools_pk primary key autoincrement,
  server_id integer not null constraint mcp_tools_server_fk references mcp_servers (id),
  position integer not null,
  name text not null,
  title text not null,
  description text not null,
  input_schema text not null,
  output_schema text,
  annotations text not null,
  -- What an approval is given for; see core::tool::definition_hash.
  definition_hash text not null,
  removed_at integer,
  constraint mcp_tools_name_unique unique (server_id, name)
) strict;

create table agent_tools (
  agent_id integer not null constraint agent_tools_agent_fk references agents (id),
  position integer not null,
  -- The grant as written; it stays when no server offers it.
  written text not null,
  tool_id integer constraint agent_tools_tool_fk references mcp_tools (id),
  constraint agent_tools_pk primary key (agent_id, position)
) strict, without rowid;

create index agent_tools_tool on agent_tools (tool_id);

create table mcp_resources (
  server_id integer not null constraint mcp_resources_server_fk references mcp_servers (id),
  position integer not null,
  uri text not null,
  name text not null,
  description text not null,
  mime text,
  is_template integer not null,
  constraint mcp_resources_pk primary key (server_id, position)
) strict, without rowid;

create table mcp_prompts (
  server_id integer not null constraint mcp_prompts_server_fk references mcp_servers (id),
  position integer not null,
  name text not null,
  description text not null,
  -- A JSON array, as the server declared it.
  arguments text not null,
  constraint mcp_prompts_pk primary key (server_id, position)
) strict, without rowid;

create table agent_runs (
  id integer constraint agent_runs_pk primary key autoincrement,
  agent_id integer not null constraint agent_runs_agent_fk references agents (id),
  environment_id integer not null constraint agent_runs_environment_fk references environments (id),
  user_id integer not null constraint agent_runs_user_fk references users (id),
  task text not null,
  -- What the engine was asked for beside the task, JSON; no secrets.
  request text not null,
  parent_id integer constraint agent_runs_parent_fk references agent_runs (id),
  -- The effect of the parent that spawned this run: one effect spawns one run, whoever repeats it.
  parent_effect text constraint agent_runs_parent_effect_unique unique,
  depth integer not null,
  status text not null,
  waiting_on text,
  model text,
  answer text,
  error text,
  steps integer not null default 0,
  tool_calls integer not null default 0,
  tokens_input integer not null default 0,
  tokens_output integer not null default 0,
  tokens_cached integer not null default 0,
  tokens_reasoning integer not null default 0,
  -- The last seq of the journal. Every append moves it under the row's lock, so two writers cannot interleave.
  journal_seq integer not null default 0,
  -- Grows with every claim; a write with an older number is refused.
  fence integer not null default 0,
  lease_worker text,
  lease_host text,
  lease_pid integer,
  lease_pid_start integer,
  -- By the lease clock, not by the wall clock: microseconds since boot here.
  lease_until integer,
  -- The boot in which `lease_until` counts.
  lease_boot text,
  created_at integer not null,
  started_at integer,
  ended_at integer
) strict;

create index agent_runs_agent on agent_runs (agent_id, id);
create index agent_runs_parent on agent_runs (parent_id, id) where parent_id is not null;
create index agent_runs_open on agent_runs (status, id) where status in ('queued', 'running', 'waiting');

create table run_variables (
  run_id integer not null constraint run_variables_run_fk references agent_runs (id),
  name text not null,
  -- Sealed.
  value blob not null,
  constraint run_variables_pk primary key (run_id, name)
) strict, without rowid;

-- Append-only.
create table run_events (
  run_id integer not null constraint run_events_run_fk references agent_runs (id),
  seq integer not null,
  at integer not null,
  -- JSON of core::run::Event.
  body text not null,
  constraint run_events_pk primary key (run_id, seq)
) strict, without rowid;

-- What runs keep of their inputs, each body once.
create table blobs (
  hash text not null constraint blobs_pk primary key,
  body blob not null
) strict;

-- The clock that leases are measured by, where the database has one: on SQLite it has none, and callers bring theirs.
create view lease_clock as select cast(null as integer) as now;
