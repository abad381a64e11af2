// A checkpoint: which files of a directory are its weights, and which tensor comes from which of them. One set of files
// is read, never a mixture; an index counts for each tensor; nothing is decided by the order of a directory.

import { readdirSync } from "node:fs";
import { join } from "node:path";

import { read, withFile } from "./file.mjs";
import { readHeader } from "./header.mjs";
import { JsonError, parse } from "./json.mjs";
import { Refusal } from "./protocol.mjs";

const SUFFIX = ".safetensors";
const INDEX_SUFFIX = ".safetensors.index.json";
const NUMBERED = /^(.+)-([0-9]{1,9})-of-([0-9]{1,9})\.safetensors$/;
const PICKLES = /\.(bin|pt|pth|ckpt|pkl)$/;
const LONGEST_INDEX = 100_000_000n;

/**
 * Where the tensors of a checkpoint lie. Every header is read and checked, and no tensor.
 *
 * @param {string} directory The checkpoint.
 * @returns {{places: Map<string, Map<string, object>>, report: object}} By file, the tensors to read, as `readHeader`
 *   has them; and the names of those that are there and not read.
 * @throws {Refusal} The files do not make one checkpoint.
 */
export function locate(directory) {
  // What is hidden is no part of a checkpoint: systems leave attributes and unfinished downloads under such names.
  const names = readdirSync(directory)
    .filter((name) => !name.startsWith("."))
    .sort();
  const chosen = chooseSet(directory, names, "model") ?? chooseSet(directory, names, "consolidated");
  if (chosen === undefined) {
    throw nothing(directory, names);
  }
  const absent = chosen.map === undefined ? "missing_file" : "missing_shard";
  const headers = new Map(
    chosen.files.map((file) => [file, withFile(join(directory, file), absent, readHeader)]),
  );
  return chosen.map === undefined ? byHeaders(directory, headers) : byIndex(directory, headers, chosen.map);
}

/** The files of the set called `stem`, and its index if it has one; undefined if there is no such set. */
function chooseSet(directory, names, stem) {
  const single = `${stem}${SUFFIX}`;
  const hasSingle = names.includes(single);
  if (names.includes(`${stem}${INDEX_SUFFIX}`)) {
    const map = readIndex(join(directory, `${stem}${INDEX_SUFFIX}`));
    const files = [...new Set(map.values())].sort();
    return hasSingle && !files.includes(single) ? ambiguous(directory, `an index and ${single}`) : { files, map };
  }
  const others = names.filter((name) => name.endsWith(SUFFIX) && isConsolidated(name) === isConsolidated(stem));
  const numbered = others.filter((name) => NUMBERED.test(name));
  if (hasSingle) {
    return numbered.length > 0 ? ambiguous(directory, `numbered shards and ${single}`) : { files: [single] };
  }
  return numbered.length > 0 ? { files: whole(directory, numbered) } : onlyOne(directory, others);
}

function isConsolidated(name) {
  return name.startsWith("consolidated");
}

/** The only file of weights, whatever its name. */
function onlyOne(directory, files) {
  if (files.length > 1) {
    throw new Refusal("shard_gap", `${directory}: no index and no numbers that show whether all files are there`);
  }
  return files.length === 1 ? { files } : undefined;
}

function ambiguous(directory, what) {
  throw new Refusal("ambiguous_weights", `${directory}: holds ${what}, which are two sets of weights`);
}

/** Shards without an index: one family of names, numbered from 1 to N. */
function whole(directory, files) {
  const parts = files.map((file) => NUMBERED.exec(file));
  const families = new Set(parts.map(([, stem, , total]) => `${stem} of ${Number(total)}`));
  if (families.size > 1) {
    ambiguous(directory, [...families].join(" and "));
  }
  const numbers = parts.map(([, , number]) => Number(number)).sort((one, other) => one - other);
  if (numbers.length !== Number(parts[0][3]) || numbers.some((number, at) => number !== at + 1)) {
    throw new Refusal("shard_gap", `${directory}: shards ${numbers.join(", ")} of ${parts[0][3]} are there`);
  }
  return files;
}

function nothing(directory, names) {
  const pickles = names.filter((name) => PICKLES.test(name));
  return pickles.length > 0
    ? new Refusal("pickle", `${directory}: holds only pickles, which are never opened: ${pickles.join(", ")}`)
    : new Refusal("no_weights", `${directory}: holds no safetensors weights`);
}

/** The shard of each tensor, by name. */
function readIndex(path) {
  const whole = (file) => {
    if (file.size > LONGEST_INDEX) {
      throw new Refusal("index_invalid", `${path}: ${file.size} bytes, ${LONGEST_INDEX} are allowed`);
    }
    return read(file, 0n, file.size);
  };
  const bytes = withFile(path, "index_invalid", whole, "index_invalid");
  const map = parseIndex(bytes, path);
  for (const [tensor, shard] of map) {
    if (typeof shard !== "string") {
      throw new Refusal("index_invalid", `${path}: the shard of ${JSON.stringify(tensor)} is no name`);
    }
    checkContained(shard, path);
  }
  return map;
}

function parseIndex(bytes, path) {
  try {
    const root = parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
    const map = root instanceof Map ? root.get("weight_map") : undefined;
    if (map instanceof Map && map.size > 0) {
      return map;
    }
  } catch (error) {
    if (!(error instanceof JsonError) && error.code !== "ERR_ENCODING_INVALID_ENCODED_DATA") {
      throw error;
    }
    throw new Refusal("index_invalid", `${path}: ${error.message}`);
  }
  throw new Refusal("index_invalid", `${path}: has no weight_map with names in it`);
}

/** By its letters alone: the links in the cache of the hub lead out of the directory, and are fine. */
function checkContained(shard, path) {
  const parts = shard.split(/[\\/]/);
  const isAbsolute = parts[0] === "" || /^[A-Za-z]:/.test(shard);
  if (isAbsolute || parts.includes("..") || ["", "."].includes(parts.at(-1)) || shard.includes("\0")) {
    throw new Refusal("path_escape", `${path}: ${JSON.stringify(shard)} is no file in the directory`);
  }
}

/** The index counts for each tensor: a copy in another shard is never read, and neither is what it does not name. */
function byIndex(directory, headers, map) {
  const places = new Map([...headers.keys()].map((file) => [file, new Map()]));
  for (const [tensor, shard] of map) {
    if (!headers.get(shard).has(tensor)) {
      const what = `the index promises ${JSON.stringify(tensor)} in ${shard}, which lacks it`;
      throw new Refusal("broken_promise", `${directory}: ${what}`);
    }
    places.get(shard).set(tensor, headers.get(shard).get(tensor));
  }
  return { places, report: unread(headers, map) };
}

function unread(headers, map) {
  const report = { ignored: [], conflicting: [] };
  for (const [file, header] of headers) {
    for (const tensor of header.keys()) {
      if (map.get(tensor) !== file) {
        report.ignored.push(tensor);
        report.conflicting.push(...(map.has(tensor) ? [tensor] : []));
      }
    }
  }
  return report;
}

function byHeaders(directory, headers) {
  const seen = new Set();
  for (const tensor of [...headers.values()].flatMap((header) => [...header.keys()])) {
    if (seen.has(tensor)) {
      throw new Refusal("duplicate_tensor", `${directory}: two shards hold ${JSON.stringify(tensor)}`);
    }
    seen.add(tensor);
  }
  return { places: headers, report: {} };
}
