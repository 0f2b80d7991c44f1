import { input as inputCodec, note, output, setup as setupCodec } from "../generated/codecs";
import type { Input } from "../generated/Input";
import type { Note } from "../generated/Note";
import type { Output } from "../generated/Output";
import type { Setup } from "../generated/Setup";
import { decoded, encoded, list } from "./codec";

/** What the engine's module has, as `crates/engine/src/web.rs` says. */
interface Exports {
  memory: WebAssembly.Memory;
  room(bytes: number): number;
  answer(): number;
  start(now: number): void;
  handle(now: number): number;
  notes(): number;
  timeout(): number;
}

/** The engine as the rest of its thread sees it. */
export interface RunningEngine {
  /** Throws when an input is not what its type says. */
  handle(input: Input): void;
  notes(): Note[];
  stop(): void;
}

/** The longest delay that timers take without overflowing, in milliseconds. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The engine's code, from beside this file. */
export function engineCode(): Promise<WebAssembly.Module> {
  return WebAssembly.compileStreaming(fetch(new URL("engine.wasm", import.meta.url)));
}

/**
 * Runs the engine: every input is followed by all outputs that it leads to, in order. Its clock counts from
 * `origin`, in milliseconds since 1970.
 */
export async function runEngine(
  code: WebAssembly.Module,
  setup: Setup,
  origin: number,
  effect: (output: Output) => void,
  failed: (error: unknown) => void,
): Promise<RunningEngine> {
  const engine = (await WebAssembly.instantiate(code)).exports as unknown as Exports;
  const now = () => performance.timeOrigin - origin + performance.now();
  say(encoded(setupCodec, setup));
  engine.start(now());

  const inputs: Uint8Array<ArrayBuffer>[] = [];
  let busy = false;
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** When the timer ends, by the engine's clock. */
  let due = Infinity;

  function handle(input: Input): void {
    if (stopped) return;
    inputs.push(encoded(inputCodec, input));
    // An effect may lead to the next input at once; the engine is not re-entered.
    if (busy) return;
    busy = true;
    try {
      for (let next = inputs.shift(); next !== undefined; next = inputs.shift()) {
        say(next);
        for (const each of decoded(list(output), answer(engine.handle(now())))) effect(each);
      }
      // A tick too many does no harm, and takes less than a timer for each input.
      const next = engine.timeout();
      if (next < due) {
        due = next;
        clearTimeout(timer);
        timer = setTimeout(tick, Math.min(next - now(), LONGEST_TIMER_MS));
      }
    } catch (error) {
      stopped = true;
      failed(error);
    } finally {
      busy = false;
    }
  }

  function tick(): void {
    due = Infinity;
    handle("tick");
  }

  function say(bytes: Uint8Array): void {
    const at = engine.room(bytes.length);
    new Uint8Array(engine.memory.buffer).set(bytes, at);
  }

  /** The engine's answer, where the engine has it: what is read from it is a copy, and the next call replaces it. */
  function answer(length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(engine.memory.buffer, engine.answer(), length);
  }

  return {
    handle,
    notes: () => decoded(list(note), answer(engine.notes())),
    stop() {
      handle("suspend");
      stopped = true;
    },
  };
}
