// The protocol of the conformance suite, version 1: one JSON object a line, requests on standard input and answers on
// standard output. docs/protocol.md says all of it.

export const PROTOCOL = 1;

const LINE_FEED = 0x0a;

/** The checkpoint is refused. Everything else that is thrown is a defect of this program, and ends it. */
export class Refusal extends Error {
  /**
   * @param {string} reason One of the suite's reason codes.
   * @param {string} message What is wrong, in a sentence.
   */
  constructor(reason, message) {
    super(message);
    this.name = "Refusal";
    this.reason = reason;
  }
}

/**
 * Answers requests until standard input ends.
 *
 * @param {object} hello What the program says of itself, without the version of the protocol.
 * @param {Object<string, function(object): {tensors: Map, report: object}>} methods What it does, by method.
 */
export async function serve(hello, methods) {
  for await (const line of lines(process.stdin)) {
    process.stdout.write(`${answer(hello, methods, JSON.parse(line))}\n`);
  }
}

/** The lines of a stream. Only a line feed ends one: JSON may hold the other characters that end lines elsewhere. */
async function* lines(stream) {
  let pieces = [];
  for await (const chunk of stream) {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      pieces.push(chunk.subarray(start, end));
      yield Buffer.concat(pieces).toString("utf8");
      pieces = [];
      start = end + 1;
    }
    pieces.push(chunk.subarray(start));
  }
}

function answer(hello, methods, request) {
  const { id, method } = request;
  if (method === "hello") {
    return JSON.stringify(greet(id, hello, request.protocol));
  }
  if (!Object.hasOwn(methods, method)) {
    return JSON.stringify({ id, broken: `there is no method ${method}` });
  }
  try {
    const { tensors, report } = methods[method](request);
    return `{"id":${id},"tensors":${spell(tensors)},"report":${JSON.stringify(report)}}`;
  } catch (error) {
    return JSON.stringify({ id, error: refusal(error) });
  }
}

function greet(id, hello, protocol) {
  if (protocol !== PROTOCOL) {
    return { id, broken: `protocol ${protocol} is not spoken here, but ${PROTOCOL}` };
  }
  return { id, hello: { protocol: PROTOCOL, ...hello } };
}

/** By hand, for a shape may hold sizes that no JavaScript number can, and a name may be `__proto__`. */
function spell(tensors) {
  const members = [...tensors].map(
    ([name, { dtype, shape, sha256 }]) =>
      `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(",")}],"sha256":"${sha256}"}`,
  );
  return `{${members.join(",")}}`;
}

/** What is told of a refusal, and of an error of the system: a file that may not be read is refused as well. */
function refusal(error) {
  if (!(error instanceof Refusal) && error?.syscall === undefined) {
    throw error;
  }
  console.error(error.stack);
  return { type: error.code ?? error.name, message: error.message, reason: error.reason ?? null, unsupported: false };
}
