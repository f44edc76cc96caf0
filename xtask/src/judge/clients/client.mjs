// A client of the TypeScript SDK: lists tools and calls one. Arguments: the package, then an address, or a command with its own.
// The first major version has its transports in files of their own, the second is another package.
const [sdk, first, ...rest] = process.argv.slice(2);
const isFirst = sdk === "@modelcontextprotocol/sdk";
const { Client } = await import(isFirst ? `${sdk}/client/index.js` : sdk);
const { StdioClientTransport } = await import(isFirst ? `${sdk}/client/stdio.js` : `${sdk}/stdio`);
const { StreamableHTTPClientTransport } = await import(isFirst ? `${sdk}/client/streamableHttp.js` : sdk);

const transport = first.startsWith("http")
  ? new StreamableHTTPClientTransport(new URL(first))
  : new StdioClientTransport({ command: first, args: rest });
const client = new Client({ name: "judge", version: "1" });
await client.connect(transport);
const { tools } = await client.listTools();
const called = await client.callTool({ name: "list_environments", arguments: {} });
console.log(JSON.stringify({ tools: tools.length, success: called.structuredContent.success }));
await client.close();
