-- What a server says of a tool besides: icons, `_meta`. A JSON object; nothing where it says no more, and where an older Station
-- listed it.

alter table mcp_tools add column more text;
