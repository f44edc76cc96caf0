// Starts aimock on a free port of loopback, with the fixtures that stand in the first line of stdin (a JSON list), and
// prints its address. Ends when stdin does, so that it outlives no test. CommonJS, because only so it loads on Node 18.
const { createInterface } = require("node:readline");
const { LLMock } = require("@copilotkit/aimock");

const lines = createInterface({ input: process.stdin });
lines.once("line", async (line) => {
  const mock = new LLMock({ host: "127.0.0.1", port: 0, chunkSize: 7, logLevel: "silent" });
  mock.addFixturesFromJSON(JSON.parse(line));
  console.log(await mock.start());
});
lines.once("close", () => process.exit(0));
