// JSON as RFC 8259 has it, stricter than JSON.parse in what a checkpoint needs: a key that stands there twice is an
// error and not the last of both, numbers keep their spelling (1, 1.0 and 1e0 are three things, 2^64 - 1 is exact), and
// nesting has an end. An object becomes a Map: a key may be `__proto__`.

/** The text is no JSON. */
export class JsonError extends Error {}

/** An object names a key twice. */
export class DuplicateKeyError extends JsonError {}

/** A number as it is written. */
export class JsonNumber {
  /** @param {string} text Its characters. */
  constructor(text) {
    this.text = text;
  }
}

/** Objects and lists inside each other: serde_json, which the reference implementation uses, stops at 128. */
const DEEPEST = 127;

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const WHITE = new Set([" ", "\t", "\n", "\r"]);
const WORDS = new Map([["true", true], ["false", false], ["null", null]]);
const ESCAPES = new Map([
  ['"', '"'], ["\\", "\\"], ["/", "/"], ["b", "\b"], ["f", "\f"], ["n", "\n"], ["r", "\r"], ["t", "\t"],
]);

/**
 * @param {string} text The whole text.
 * @returns {*} Map, Array, string, JsonNumber, true, false or null.
 * @throws {JsonError} It is no JSON. The message tells the position.
 */
export function parse(text) {
  const scanner = new Scanner(text);
  const value = scanner.value(1);
  scanner.skipWhite();
  if (scanner.at < text.length) {
    scanner.fail("text behind the end");
  }
  return value;
}

class Scanner {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  fail(what) {
    throw new JsonError(`${what}, at character ${this.at}`);
  }

  skipWhite() {
    while (WHITE.has(this.text[this.at])) {
      this.at += 1;
    }
  }

  /** Whether the next character is `character`, which is then behind us. */
  takes(character) {
    this.skipWhite();
    if (this.text[this.at] !== character) {
      return false;
    }
    this.at += 1;
    return true;
  }

  expect(character) {
    if (!this.takes(character)) {
      this.fail(`expected ${character}`);
    }
  }

  value(depth) {
    if (this.takes("{")) {
      return this.object(depth);
    }
    if (this.takes("[")) {
      return this.list(depth);
    }
    if (this.takes('"')) {
      return this.string();
    }
    const word = this.word();
    return word === undefined ? this.number() : word;
  }

  checkDepth(depth) {
    if (depth > DEEPEST) {
      this.fail(`nested deeper than ${DEEPEST} levels`);
    }
  }

  /** An object, whose opening brace is behind us. */
  object(depth) {
    this.checkDepth(depth);
    const members = new Map();
    if (this.takes("}")) {
      return members;
    }
    do {
      this.expect('"');
      const key = this.string();
      if (members.has(key)) {
        throw new DuplicateKeyError(`the key ${JSON.stringify(key)} stands there twice`);
      }
      this.expect(":");
      members.set(key, this.value(depth + 1));
    } while (this.takes(","));
    this.expect("}");
    return members;
  }

  /** A list, whose opening bracket is behind us. */
  list(depth) {
    this.checkDepth(depth);
    const items = [];
    if (this.takes("]")) {
      return items;
    }
    do {
      items.push(this.value(depth + 1));
    } while (this.takes(","));
    this.expect("]");
    return items;
  }

  /** A string, whose opening quote is behind us. */
  string() {
    let text = "";
    let start = this.at;
    for (let next = this.text[start]; next !== '"'; next = this.text[this.at]) {
      if (next === "\\") {
        text += this.text.slice(start, this.at) + this.escape();
        start = this.at;
      } else if (next === undefined || next < " ") {
        this.fail("a string does not end, or holds a control character");
      } else {
        this.at += 1;
      }
    }
    text += this.text.slice(start, this.at);
    this.at += 1;
    if (!text.isWellFormed()) {
      this.fail("a string holds half of a surrogate pair");
    }
    return text;
  }

  escape() {
    const letter = this.text[this.at + 1];
    const digits = this.text.slice(this.at + 2, this.at + 6);
    if (letter === "u" && /^[0-9a-fA-F]{4}$/.test(digits)) {
      this.at += 6;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    this.at += 2;
    return ESCAPES.get(letter) ?? this.fail("no such escape");
  }

  /** One of the three words; undefined if there is none. */
  word() {
    for (const [word, value] of WORDS) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    return undefined;
  }

  number() {
    NUMBER.lastIndex = this.at;
    const [found] = NUMBER.exec(this.text) ?? this.fail("expected a value");
    this.at += found.length;
    // As serde_json has it. It also keeps numbers short: one of a million digits takes long to understand.
    if (!Number.isFinite(Number(found))) {
      this.fail("a number is out of range");
    }
    return new JsonNumber(found);
  }
}
