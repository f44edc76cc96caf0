-- What a server says of a resource or a prompt besides: title, icons, annotations, `_meta`, size. A JSON object; nothing where it says
-- no more, and where an older Station listed it.

alter table mcp_resources add column more text;
alter table mcp_prompts add column more text;
