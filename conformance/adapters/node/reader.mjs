// An adapter in JavaScript, for Node.js 20 and later and nothing else: a strict safetensors reader, written here.
//
//     python -m conformance run --command "node conformance/adapters/node/reader.mjs"

import { join } from "node:path";

import { locate } from "./checkpoint.mjs";
import { sha256, withFile } from "./file.mjs";
import { DTYPES, readHeader } from "./header.mjs";
import { serve } from "./protocol.mjs";

/** Elements smaller than a byte are handed out as raw bytes. */
const SUB_BYTE = new Set(["F4", "F6_E2M3", "F6_E3M2"]);

function digests(file, header) {
  return [...header].map(([name, { dtype, shape, start, end }]) => {
    const told = SUB_BYTE.has(dtype) ? { dtype: "U8", shape: [end - start] } : { dtype, shape };
    return [name, { ...told, sha256: sha256(file, start, end) }];
  });
}

function readFile({ path }) {
  const tensors = withFile(path, "missing_file", (file) => digests(file, readHeader(file)));
  return { tensors: new Map(tensors), report: {} };
}

function readCheckpoint({ directory }) {
  const { places, report } = locate(directory);
  const tensors = [...places].flatMap(([file, header]) =>
    withFile(join(directory, file), "missing_shard", (open) => digests(open, header)),
  );
  return { tensors: new Map(tensors), report };
}

await serve(
  {
    name: "node-reader",
    version: "1.0.0",
    language: "JavaScript",
    claims: ["sharded", "indexless", ...DTYPES.map((dtype) => `dtype:${dtype}`)],
    levels: ["container", "checkpoint"],
    reasons: true,
    reports: true,
    packages: { node: process.versions.node },
  },
  { read_file: readFile, read_checkpoint: readCheckpoint },
);
