// A Lambda runtime for Node: requests an event, calls the handler of the named module and posts the response.
// AWS's runtime needs a compiler to install. This one does less, which favours the peers.
import http from "node:http";

const [hostname, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, noDelay: true });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
    const request = http.request({ agent, hostname, port, method, path, headers }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }));
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

const { handler } = await import(`./${process.argv[2]}.js`);
for (;;) {
  const event = await call("GET", "/2018-06-01/runtime/invocation/next");
  const id = event.headers["lambda-runtime-aws-request-id"];
  const invocation = `/2018-06-01/runtime/invocation/${id}`;
  try {
    const answer = await handler(JSON.parse(event.body), { awsRequestId: id });
    await call("POST", `${invocation}/response`, JSON.stringify(answer));
  } catch (error) {
    await call("POST", `${invocation}/error`, JSON.stringify({ errorMessage: `${error.stack}` }));
  }
}
