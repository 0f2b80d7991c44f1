import { base64url, DIGEST_BYTES, DIGEST_CHARS } from "../shared/digest";

/**
 * Writes values as the bytes that the engine reads, and reads what it writes: the postcard format
 * (https://postcard.jamesmunns.com), which has no names, so that the engine does without the code for them.
 * What is written is checked, because some of it is what the node said.
 */
export interface Codec<T> {
  write(to: Place, value: T): void;
  read(from: Place): T;
}

/** Where the next byte is, or goes. */
interface Place {
  bytes: Uint8Array<ArrayBuffer>;
  at: number;
}

/** Room for most inputs, in bytes. */
const FIRST_ROOM = 256;

/** A value as bytes; throws when it is not what its type says. */
export function encoded<T>(codec: Codec<T>, value: T): Uint8Array<ArrayBuffer> {
  const to = { bytes: new Uint8Array(FIRST_ROOM), at: 0 };
  codec.write(to, value);
  return to.bytes.subarray(0, to.at);
}

/** The value that the engine wrote. */
export function decoded<T>(codec: Codec<T>, bytes: Uint8Array<ArrayBuffer>): T {
  return codec.read({ bytes, at: 0 });
}

/** Makes room for so many bytes more; returns where they go. */
function room(to: Place, bytes: number): number {
  const { at } = to;
  to.at += bytes;
  if (to.at > to.bytes.length) {
    const larger = new Uint8Array(2 * to.at);
    larger.set(to.bytes);
    to.bytes = larger;
  }
  return at;
}

function put(to: Place, byte: number): void {
  const at = room(to, 1);
  to.bytes[at] = byte;
}

function check(holds: boolean): void {
  if (!holds) throw new TypeError("malformed");
}

/** Whole numbers, seven bits a byte, the lowest first. */
function whole(most: number): Codec<number> {
  return {
    write(to, value) {
      check(Number.isInteger(value) && value >= 0 && value <= most);
      for (; value > 127; value = Math.floor(value / 128)) put(to, (value % 128) + 128);
      put(to, value);
    },
    read(from) {
      let value = 0;
      for (let unit = 1; ; unit *= 128) {
        const byte = from.bytes[from.at++] ?? 0;
        value += (byte % 128) * unit;
        if (byte < 128) return value;
      }
    },
  };
}

export const u32 = whole(2 ** 32 - 1);
/** As far as JavaScript's numbers are whole. */
export const u64 = whole(Number.MAX_SAFE_INTEGER);

export const flag: Codec<boolean> = {
  write(to, value) {
    check(typeof value === "boolean");
    put(to, Number(value));
  },
  read: (from) => u32.read(from) > 0,
};

export const bytes: Codec<Uint8Array<ArrayBuffer>> = {
  write(to, value) {
    u32.write(to, value.length);
    const at = room(to, value.length);
    to.bytes.set(value, at);
  },
  read(from) {
    const length = u32.read(from);
    from.at += length;
    // Of its own: what it was read from is not kept for it, nor copied with it.
    return from.bytes.slice(from.at - length, from.at);
  },
};

const encoder = new TextEncoder();
const decoder = new TextDecoder();
export const text: Codec<string> = {
  write(to, value) {
    check(typeof value === "string");
    bytes.write(to, encoder.encode(value));
  },
  read: (from) => decoder.decode(bytes.read(from)),
};

export const peerId: Codec<string> = {
  write(to, value) {
    check(/^[\da-f]{16}$/i.test(value));
    bytes.write(
      to,
      Uint8Array.from(value.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)),
    );
  },
  read: (from) => Array.from(bytes.read(from), (byte) => byte.toString(16).padStart(2, "0")).join(""),
};

export const pieceDigests: Codec<string> = {
  write(to, value) {
    const all = new Uint8Array((value.length / DIGEST_CHARS) * DIGEST_BYTES);
    let at = 0;
    const base64 = value.replaceAll("-", "+").replaceAll("_", "/");
    // There are thousands in a manifest.
    for (let first = 0; first < base64.length; first += DIGEST_CHARS) {
      const one = atob(base64.slice(first, first + DIGEST_CHARS));
      check(one.length === DIGEST_BYTES);
      for (let place = 0; place < DIGEST_BYTES; place++) all[at++] = one.charCodeAt(place);
    }
    bytes.write(to, all);
  },
  read: (from) =>
    Array.from({ length: u32.read(from) / DIGEST_BYTES }, () => {
      from.at += DIGEST_BYTES;
      return base64url(from.bytes.subarray(from.at - DIGEST_BYTES, from.at));
    }).join(""),
};

export const digest: Codec<string> = {
  write(to, value) {
    check(value.length === DIGEST_CHARS);
    pieceDigests.write(to, value);
  },
  read: pieceDigests.read,
};

/** What browsers say to each other: the engine keeps it as it is. */
export const signal: Codec<unknown> = {
  write: (to, value) => text.write(to, JSON.stringify(value)),
  read: (from) => JSON.parse(text.read(from)),
};

export const nothing: Codec<undefined> = { write() {}, read: () => undefined };

export function option<T>(some: Codec<T>): Codec<T | null> {
  return {
    write(to, value) {
      flag.write(to, value != null);
      if (value != null) some.write(to, value);
    },
    read: (from) => (flag.read(from) ? some.read(from) : null),
  };
}

/** What a reader takes where nothing is said. */
export function or<T>(said: Codec<T>, unsaid: NoInfer<T>): Codec<T> {
  return { write: (to, value = unsaid) => said.write(to, value), read: said.read };
}

export function list<T>(item: Codec<T>): Codec<T[]> {
  return {
    write(to, value) {
      check(Array.isArray(value));
      u32.write(to, value.length);
      for (const each of value) item.write(to, each);
    },
    read: (from) => Array.from({ length: u32.read(from) }, () => item.read(from)),
  };
}

export function pair<T>(item: Codec<T>): Codec<[T, T]> {
  return {
    write(to, [one, other]) {
      item.write(to, one);
      item.write(to, other);
    },
    read: (from) => [item.read(from), item.read(from)],
  };
}

/** Fields in their order. Of what a node says, those that are not known are passed over. */
export function struct<T>(fields: { [K in keyof T]-?: Codec<Exclude<T[K], undefined>> }): Codec<T> {
  return {
    write(to, value) {
      for (const name in fields) fields[name].write(to, value[name] as Exclude<T[typeof name], undefined>);
    },
    read(from) {
      const value: Partial<T> = {};
      for (const name in fields) value[name] = fields[name].read(from);
      return value as T;
    },
  };
}

/** What comes with the variant `K`. */
type Payload<T, K> = K extends T ? undefined : T extends Record<K & string, infer V> ? V : never;

/** One of several things, each with its name; those with nothing to them are the name alone. */
export function variants<T>(
  known: {
    [K in T extends string ? T : keyof T]: Codec<Payload<T, K>>;
  },
): Codec<T> {
  const table = Object.entries<Codec<unknown>>(known);
  return {
    write(to, value) {
      const [[name, payload] = []] = Object.entries(
        typeof value === "string" ? { [value]: undefined } : (value as object),
      );
      const index = table.findIndex(([known]) => known === name);
      check(index >= 0);
      u32.write(to, index);
      table[index]?.[1].write(to, payload);
    },
    read(from) {
      const [name, payload] = table[u32.read(from)] as [string, Codec<unknown>];
      return (payload === nothing ? name : { [name]: payload.read(from) }) as T;
    },
  };
}

/** One of several names, of which empty ones only keep a place; one that is not known is taken for "unknown", if that is among them. */
export function oneOf<T extends string>(names: string): Codec<T> {
  const table = names.split(" ");
  return {
    write(to, value) {
      const index = table.indexOf(table.includes(value) ? value : "unknown");
      check(index >= 0);
      u32.write(to, index);
    },
    read: (from) => table[u32.read(from)] as T,
  };
}
