// The header of one safetensors file, held against every rule of the format. Written from the format alone:
// https://github.com/safetensors/safetensors, README, "Format", and MAX_HEADER_SIZE of its reference implementation.
//
// Where readers may differ, this one is strict: white space before the brace, a key twice inside __metadata__, null for
// __metadata__ and sizes of an empty tensor that no 64 bits count are refused. White space behind the object and fields
// that nobody knows are fine.

import { read } from "./file.mjs";
import { DuplicateKeyError, JsonError, JsonNumber, parse } from "./json.mjs";
import { Refusal } from "./protocol.mjs";

const WORD = 8n;
const LONGEST = 100_000_000n;
const LARGEST = 2n ** 64n - 1n;
const METADATA = "__metadata__";

/** Bits of an element, by dtype. */
const BITS = new Map([
  ...["BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0"].map((name) => [name, 8n]),
  ...["U16", "I16", "F16", "BF16"].map((name) => [name, 16n]),
  ...["U32", "I32", "F32"].map((name) => [name, 32n]),
  ...["U64", "I64", "F64", "C64"].map((name) => [name, 64n]),
  ["F4", 4n],
  ["F6_E2M3", 6n],
  ["F6_E3M2", 6n],
]);

/** The dtypes that are read, as headers name them. */
export const DTYPES = [...BITS.keys()];

/** How files begin that are something else. */
const STRANGERS = [
  "version https://git-lfs", "<!doctype html", "<html", "<?xml", '{"error"', "gguf", "pk\x03\x04",
  ...["\x02", "\x03", "\x04", "\x05"].map((protocol) => `\x80${protocol}`), // pickles
];
const SNIFFED = 64n;

/**
 * @param {{path: string, descriptor: number, size: bigint}} file An open file.
 * @returns {Map<string, {dtype: string, shape: bigint[], start: bigint, end: bigint}>} Its tensors by name, with the
 *   logical shape and the place in the file, counted from its first byte.
 * @throws {Refusal} The file breaks a rule.
 */
export function readHeader(file) {
  const refuse = (reason, what) => {
    throw new Refusal(reason, `${file.path}: ${what}`);
  };
  const length = readLength(file, refuse);
  const root = parseRoot(decode(read(file, WORD, WORD + length), refuse), refuse);
  checkMetadata(root, refuse);
  root.delete(METADATA);
  const start = WORD + length;
  const tensors = new Map();
  for (const [name, entry] of root) {
    const about = (reason, what) => refuse(reason, `${JSON.stringify(name)}: ${what}`);
    tensors.set(name, place(readEntry(entry, about), start));
  }
  checkTiling(tensors, start, file.size, refuse);
  return tensors;
}

function place(entry, start) {
  return { ...entry, start: start + entry.start, end: start + entry.end };
}

/** The length of the header, held against the limit and the file before anything is allocated for it. */
function readLength(file, refuse) {
  if (file.size < WORD) {
    refuse("truncated", `${file.size} bytes hold no length of a header`);
  }
  const first = read(file, 0n, file.size < SNIFFED ? file.size : SNIFFED);
  checkKind(first, refuse);
  const length = first.readBigUInt64LE();
  if (length > LONGEST) {
    refuse("header_length", `a header of ${length} bytes, ${LONGEST} are allowed`);
  }
  if (length > file.size - WORD) {
    refuse("truncated", `a header of ${length} bytes in a file of ${file.size}`);
  }
  return length;
}

function checkKind(first, refuse) {
  const text = first.toString("latin1").toLowerCase();
  const found = STRANGERS.find((start) => text.startsWith(start));
  // A length may look like the start of another format, and an object behind it settles what the file is.
  if (found !== undefined && text[Number(WORD)] !== "{") {
    refuse("not_safetensors", `begins with ${JSON.stringify(found)}, which is another format`);
  }
  if (first.every((byte) => byte === 0)) {
    refuse("not_safetensors", "begins with zeros, as a download does that has not been finished");
  }
}

function decode(bytes, refuse) {
  let text = "";
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    refuse("header_json", "the header is no UTF-8");
  }
  if (!text.startsWith("{")) {
    refuse("header_json", `the header begins with ${JSON.stringify(text.slice(0, 10))} and not with a brace`);
  }
  return text;
}

function parseRoot(text, refuse) {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof JsonError)) {
      throw error;
    }
    return refuse(error instanceof DuplicateKeyError ? "duplicate_key" : "header_json", error.message);
  }
}

/** A map of strings to strings, if it is there. */
function checkMetadata(root, refuse) {
  const metadata = root.get(METADATA);
  const isSound = metadata instanceof Map && [...metadata.values()].every((value) => typeof value === "string");
  if (root.has(METADATA) && !isSound) {
    refuse("metadata", `${METADATA} is no map of strings`);
  }
}

function readEntry(entry, refuse) {
  if (!(entry instanceof Map) || !["dtype", "shape", "data_offsets"].every((field) => entry.has(field))) {
    refuse("header_entry", "expected an object with dtype, shape and data_offsets");
  }
  const dtype = entry.get("dtype");
  if (!BITS.has(dtype)) {
    refuse("unknown_dtype", `no dtype is called ${JSON.stringify(dtype)}`);
  }
  const shape = readIntegers(entry.get("shape"), "shape", refuse);
  const [start, end, ...more] = readIntegers(entry.get("data_offsets"), "data_offsets", refuse);
  if (end === undefined || more.length > 0 || start > end) {
    refuse("header_entry", "data_offsets are no start and end");
  }
  const bits = countBits(shape, BITS.get(dtype), refuse);
  if (bits !== 8n * (end - start)) {
    refuse("size_mismatch", `shape [${shape}] of ${dtype} has ${bits} bits, the offsets span ${end - start} bytes`);
  }
  return { dtype, shape, start, end };
}

/** Only digits are integers: neither 1.0, nor 1e0, nor -0. */
function readIntegers(list, field, refuse) {
  const isWhole = (value) => value instanceof JsonNumber && /^[0-9]+$/.test(value.text);
  if (!Array.isArray(list) || !list.every(isWhole)) {
    refuse("header_entry", `${field} is no list of whole numbers`);
  }
  const integers = list.map(({ text }) => BigInt(text));
  if (integers.some((integer) => integer > LARGEST)) {
    refuse("overflow", `${field} holds a number above 2^64 - 1`);
  }
  return integers;
}

/** The bits of a tensor, countable in 64 bits also where one of the sizes is zero: their order must not matter. */
function countBits(shape, bits, refuse) {
  let product = bits;
  for (const size of shape) {
    product *= size === 0n ? 1n : size;
    if (product > LARGEST) {
      refuse("overflow", `the bits of shape [${shape}] do not fit 64 bits`);
    }
  }
  return shape.includes(0n) ? 0n : product;
}

/** The tensors follow each other from the first byte of the data to the last byte of the file. */
function checkTiling(tensors, start, size, refuse) {
  let reached = start;
  for (const [name, entry] of [...tensors].sort(([, one], [, other]) => compare(one, other))) {
    if (entry.start !== reached) {
      const isHole = entry.start > reached;
      const what = isHole ? "bytes before it belong to no tensor" : "it shares bytes with another tensor";
      refuse(isHole ? "hole" : "overlap", `${JSON.stringify(name)}: ${what}`);
    }
    reached = entry.end;
  }
  if (reached !== size) {
    const isShort = reached > size;
    const what = isShort ? "the last bytes are not there" : "bytes follow the last tensor";
    refuse(isShort ? "truncated" : "trailing_bytes", `${what}: ${size} bytes, expected ${reached}`);
  }
}

/** By start; an empty tensor comes before the one that begins where it lies. */
function compare(one, other) {
  const difference = one.start - other.start || one.end - other.end;
  return difference < 0n ? -1 : Number(difference > 0n);
}
