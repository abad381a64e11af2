// Files, read piece by piece: nothing is allocated by a number that a file tells before it has been held against the
// size of the file, and no tensor is ever in memory as a whole.

import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

import { Refusal } from "./protocol.mjs";

const piece = Buffer.allocUnsafe(1 << 20);

/**
 * Opens a file, and closes it when `use` is done.
 *
 * @param {string} path Where it is.
 * @param {string} absent The reason code for a file that is not there.
 * @param {function({path: string, descriptor: number, size: bigint}): *} use Gets the open file.
 * @param {string} irregular The reason code for what is no file: a directory, a pipe.
 */
export function withFile(path, absent, use, irregular = "not_safetensors") {
  const descriptor = open(path, absent);
  try {
    const seen = fstatSync(descriptor, { bigint: true });
    if (!seen.isFile()) {
      throw new Refusal(irregular, `${path}: no regular file`);
    }
    return use({ path, descriptor, size: seen.size });
  } finally {
    closeSync(descriptor);
  }
}

function open(path, absent) {
  try {
    // A named pipe would wait for a writer otherwise. To a regular file the flag does nothing.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw error.code === "ENOENT" ? new Refusal(absent, `${path}: there is no such file`) : error;
  }
}

/** The bytes from `start` to `end`, both BigInt. The caller knows that the file is as long. */
export function read(file, start, end) {
  const bytes = Buffer.allocUnsafe(Number(end - start));
  let at = 0;
  for (const part of pieces(file, start, end)) {
    at += part.copy(bytes, at);
  }
  return bytes;
}

/** The SHA-256 of the bytes from `start` to `end`, both BigInt, in hexadecimal digits. */
export function sha256(file, start, end) {
  const hash = createHash("sha256");
  for (const part of pieces(file, start, end)) {
    hash.update(part);
  }
  return hash.digest("hex");
}

/** The bytes in pieces, each of which is overwritten by the next. A read may give less than was asked for. */
function* pieces(file, start, end) {
  for (let at = start; at < end; ) {
    const rest = end - at;
    const wanted = rest < piece.length ? Number(rest) : piece.length;
    const count = readSync(file.descriptor, piece, 0, wanted, at);
    if (count === 0) {
      throw new Refusal("truncated", `${file.path}: ends at byte ${at}, and ${end} bytes were there before`);
    }
    yield piece.subarray(0, count);
    at += BigInt(count);
  }
}
