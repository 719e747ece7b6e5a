// A proxy that adds the key and passes everything else on as it is, the Host too. Arguments: HAIA's URL and the key. Prints its own URL.

import http from 'node:http';

const [, , target, key] = process.argv;
const { hostname, port } = new URL(target);

const server = http.createServer((request, response) => {
  const headers = [];
  for (let at = 0; at < request.rawHeaders.length; at += 2) {
    headers.push([request.rawHeaders[at], request.rawHeaders[at + 1]]);
  }
  headers.push(['Authorization', `Bearer ${key}`]);
  const onward = http.request({ hostname, port, method: request.method, path: request.url, setHost: false, headers: headers.flat() });
  onward.on('response', (answer) => {
    response.writeHead(answer.statusCode, answer.rawHeaders);
    answer.pipe(response);
  });
  onward.on('error', () => response.destroy());
  response.on('close', () => onward.destroy());
  request.pipe(onward);
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
