// The official Node SDK as a client of HAIA: over HTTP and over `haia mcp`. Prints "N passed, N failed" last.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const { HAIA_URL, HAIA_KEY, HAIA_BIN, HAIA_FOLDER } = process.env;
let passed = 0;
let failed = 0;

function check(what, condition, detail = '') {
  if (condition) passed += 1;
  else failed += 1;
  console.log(condition ? `ok      node ${what}` : `FAILED  node ${what} ${JSON.stringify(detail)}`);
}

async function lookAround(name, transport) {
  const client = new Client({ name: 'haia-ci', version: '1.0.0' });
  await client.connect(transport);
  check(`${name}: initialize`, client.getServerVersion()?.name === 'haia', client.getServerVersion());
  const { tools } = await client.listTools();
  check(`${name}: tools`, tools.some((tool) => tool.name === 'list_vms') && tools.length > 15, tools.map((tool) => tool.name));
  const result = await client.callTool({ name: 'list_vms', arguments: {} });
  check(`${name}: call`, !result.isError && result.content[0].text.includes('web-01'), result);
  const progress = [];
  const again = await client.callTool({ name: 'get_cluster_resources', arguments: {} }, undefined, { onprogress: (told) => progress.push(told) });
  check(`${name}: call with progress`, !again.isError, again);
  const wrong = await client.callTool({ name: 'get_vm_status', arguments: { guest: 'no-such-guest', cluster: null } });
  check(`${name}: a failed call`, wrong.isError === true, wrong);
  const unknown = await client.callTool({ name: 'no_such_tool', arguments: {} }).catch((error) => error);
  check(`${name}: an unknown tool`, unknown.code === -32602, unknown);
  const { resources } = await client.listResources();
  check(`${name}: resources`, resources.some((resource) => resource.uri === 'haia://cluster'), resources);
  const read = await client.readResource({ uri: 'haia://alerts' });
  check(`${name}: read`, read.contents[0].text.includes('"alerts"'), read);
  const { prompts } = await client.listPrompts();
  check(`${name}: prompts`, prompts.length > 3, prompts);
  await client.ping();
  check(`${name}: ping`, true);
  await client.close();
}

const requestInit = { headers: { Authorization: `Bearer ${HAIA_KEY}` } };
await lookAround('http', new StreamableHTTPClientTransport(new URL(`${HAIA_URL}/mcp`), { requestInit }));
await lookAround('stdio', new StdioClientTransport({ command: HAIA_BIN, args: ['--config', `${HAIA_FOLDER}/haia.toml`, 'mcp'], cwd: HAIA_FOLDER }));
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
