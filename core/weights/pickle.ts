/**
 * A restricted reader of pickles (protocols 2 to 5, as torch.save writes them). A pickle is a program for a stack
 * machine, and Python's own reader calls what it names. This one calls nothing: dictionaries, lists, tuples, sets, texts
 * and numbers are built; any other object is what `rules` make of it, or a `Placeholder` that knows its class by name.
 *
 *   dict -> Map   list -> array   tuple -> frozen array   set -> Set   str -> string   bytes -> Uint8Array
 *   int -> number, or bigint beyond 2^53   None -> null   class, function -> GlobalName
 */

import { PickleBytes } from "./pickle-bytes.ts";

/** A class or function by its name. It is not looked up. */
export class GlobalName {
  /** "torch._utils._rebuild_tensor_v2" */
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }
}

/** An object that is not built. */
export class Placeholder {
  /** Its class, or the function that would make it. */
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }
}

/** What becomes of the objects that a pickle is for. Both may throw. */
export interface PickleRules {
  /** Of an object that lies outside of the pickle, by its id. */
  persistent(id: unknown): unknown;
  /** Of a call; undefined for a placeholder. */
  call(path: string, args: readonly unknown[]): unknown;
}

/** Of a million operations the largest checkpoints need a part; more is a pickle made to exhaust the memory. */
const MOST_OPERATIONS = 4_000_000;
/** Objects other than numbers. */
const MOST_OBJECTS = 500_000;

/** Throws SyntaxError or RangeError for anything but a pickle that torch.save could have written. */
export function unpickle(bytes: Uint8Array, rules: PickleRules): unknown {
  return new Unpickler(bytes, rules).run();
}

class Unpickler {
  private readonly input: PickleBytes;
  private readonly rules: PickleRules;
  private readonly memo = new Map<number, unknown>();
  private readonly stack: unknown[] = [];
  private readonly marks: number[] = [];
  private objects = 0;

  constructor(bytes: Uint8Array, rules: PickleRules) {
    this.input = new PickleBytes(bytes);
    this.rules = rules;
  }

  run(): unknown {
    for (let operations = 0; operations < MOST_OPERATIONS; operations++) {
      const opcode = this.input.byte();
      if (opcode === STOP) return this.pop();
      this.step(opcode);
    }
    throw new RangeError(`the pickle has more than ${MOST_OPERATIONS} operations`);
  }

  /** The letters and names are those of Python's pickletools. */
  private step(opcode: number): void {
    switch (opcode) {
      case 0x80: // PROTO
        if (this.input.byte() > 5) throw new SyntaxError("the pickle's protocol is newer than 5");
        return;
      case 0x95: // FRAME
        return void this.input.take(8);
      case 0x28: // ( MARK
        return void this.marks.push(this.stack.length);
      case 0x30: // 0 POP
        if (this.marks.at(-1) === this.stack.length) this.marks.pop();
        else this.pop();
        return;
      case 0x31: // 1 POP_MARK
        return void this.popMark();
      case 0x32: // 2 DUP
        return this.push(this.top());
      case 0x71: // q BINPUT
        return this.put(this.input.byte());
      case 0x72: // r LONG_BINPUT
        return this.put(this.input.uint32());
      case 0x94: // MEMOIZE
        return this.put(this.memo.size);
      case 0x68: // h BINGET
        return this.get(this.input.byte());
      case 0x6a: // j LONG_BINGET
        return this.get(this.input.uint32());
      default:
        if (!this.scalar(opcode) && !this.container(opcode) && !this.object(opcode)) {
          const text = `0x${opcode.toString(16).padStart(2, "0")} at byte ${this.input.position - 1}`;
          throw new SyntaxError(`the pickle has the operation ${text}, which torch.save does not write`);
        }
    }
  }

  /** None, booleans, numbers, texts, bytes. */
  private scalar(opcode: number): boolean {
    switch (opcode) {
      case 0x4e: // N NONE
        return this.gives(null);
      case 0x88: // NEWTRUE
        return this.gives(true);
      case 0x89: // NEWFALSE
        return this.gives(false);
      case 0x4a: // J BININT
        return this.gives(this.input.int32());
      case 0x4b: // K BININT1
        return this.gives(this.input.byte());
      case 0x4d: // M BININT2
        return this.gives(this.input.uint16());
      case 0x8a: // LONG1
        return this.gives(this.input.integer(this.input.byte()));
      case 0x8b: // LONG4
        return this.gives(this.input.integer(this.input.uint32()));
      case 0x47: // G BINFLOAT
        return this.gives(this.input.float64());
      case 0x58: // X BINUNICODE
        return this.makes(this.input.text(this.input.uint32()));
      case 0x8c: // SHORT_BINUNICODE
        return this.makes(this.input.text(this.input.byte()));
      case 0x8d: // BINUNICODE8
        return this.makes(this.input.text(this.input.uint64()));
      case 0x54: // T BINSTRING, of Python 2
        return this.makes(this.input.text(this.input.uint32(), "latin1"));
      case 0x55: // U SHORT_BINSTRING, of Python 2
        return this.makes(this.input.text(this.input.byte(), "latin1"));
      case 0x42: // B BINBYTES
        return this.makes(this.input.take(this.input.uint32()));
      case 0x43: // C SHORT_BINBYTES
        return this.makes(this.input.take(this.input.byte()));
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        return this.makes(this.input.take(this.input.uint64()));
      default:
        return false;
    }
  }

  private container(opcode: number): boolean {
    switch (opcode) {
      case 0x5d: // ] EMPTY_LIST
        return this.makes([]);
      case 0x61: // a APPEND
        return this.append([this.pop()]);
      case 0x65: // e APPENDS
        return this.append(this.popMark());
      case 0x7d: // } EMPTY_DICT
        return this.makes(new Map());
      case 0x73: {
        // s SETITEM
        const value = this.pop();
        return this.setItems([this.pop(), value]);
      }
      case 0x75: // u SETITEMS
        return this.setItems(this.popMark());
      case 0x29: // ) EMPTY_TUPLE
        return this.makes(Object.freeze([]));
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        return this.makes(Object.freeze(this.popMany(opcode - 0x84)));
      case 0x74: // t TUPLE
        return this.makes(Object.freeze(this.popMark()));
      case 0x8f: // EMPTY_SET
        return this.makes(new Set());
      case 0x90: {
        // ADDITEMS
        const items = this.popMark();
        const set = this.top();
        if (!(set instanceof Set)) throw new SyntaxError("the pickle adds to what is no set");
        for (const item of items) set.add(item);
        return true;
      }
      case 0x91: // FROZENSET
        return this.makes(new Set(this.popMark()));
      default:
        return false;
    }
  }

  /** Objects of classes, none of which is built here. */
  private object(opcode: number): boolean {
    switch (opcode) {
      case 0x63: // c GLOBAL
        return this.makes(new GlobalName(`${this.input.line()}.${this.input.line()}`));
      case 0x93: {
        // STACK_GLOBAL
        const [module, name] = this.popMany(2);
        if (typeof module !== "string" || typeof name !== "string")
          throw new SyntaxError("the pickle names a class by what is no text");
        return this.makes(new GlobalName(`${module}.${name}`));
      }
      case 0x52: // R REDUCE
      case 0x81: // NEWOBJ
        return this.call(this.popMany(2));
      case 0x92: // NEWOBJ_EX
        return this.call(this.popMany(3));
      case 0x62: // b BUILD: the state of an object that is not built
        this.pop();
        this.top();
        return true;
      case 0x51: // Q BINPERSID
        return this.makes(this.rules.persistent(this.pop()));
      default:
        return false;
    }
  }

  private call([callable, args]: readonly unknown[]): boolean {
    if (!(callable instanceof GlobalName)) throw new SyntaxError("the pickle calls what is no function");
    if (!Array.isArray(args)) throw new SyntaxError(`the pickle calls ${callable.path} without arguments`);
    return this.makes(this.rules.call(callable.path, args) ?? new Placeholder(callable.path));
  }

  private append(items: readonly unknown[]): boolean {
    const list = this.top();
    if (list instanceof Placeholder) return true;
    if (!Array.isArray(list) || Object.isFrozen(list))
      throw new SyntaxError("the pickle appends to what is no list");
    for (const item of items) list.push(item);
    return true;
  }

  private setItems(items: readonly unknown[]): boolean {
    const map = this.top();
    if (map instanceof Placeholder) return true;
    if (!(map instanceof Map) || items.length % 2 !== 0)
      throw new SyntaxError("the pickle sets items of what is no dictionary");
    for (let i = 0; i < items.length; i += 2) map.set(items[i], items[i + 1]);
    return true;
  }

  private put(index: number): void {
    this.memo.set(index, this.top());
  }

  private get(index: number): void {
    if (!this.memo.has(index)) throw new SyntaxError(`the pickle remembers nothing as ${index}`);
    this.push(this.memo.get(index));
  }

  private gives(value: unknown): true {
    this.push(value);
    return true;
  }

  private makes(object: unknown): true {
    if (++this.objects > MOST_OBJECTS)
      throw new RangeError(`the pickle has more than ${MOST_OBJECTS} objects`);
    return this.gives(object);
  }

  private push(value: unknown): void {
    this.stack.push(value);
  }

  /** Nothing below the last mark is within reach. */
  private top(): unknown {
    if (this.stack.length <= (this.marks.at(-1) ?? 0)) throw new SyntaxError("the pickle's stack is empty");
    return this.stack.at(-1);
  }

  private pop(): unknown {
    const value = this.top();
    this.stack.pop();
    return value;
  }

  private popMany(count: number): unknown[] {
    return Array.from({ length: count }, () => this.pop()).reverse();
  }

  /** What was pushed since the last mark. */
  private popMark(): unknown[] {
    const mark = this.marks.pop();
    if (mark === undefined) throw new SyntaxError("the pickle has no mark");
    return this.stack.splice(mark);
  }
}

const STOP = 0x2e;
