import { input as inputCodec, note, output, setup as setupCodec } from "../generated/codecs";
import type { Input } from "../generated/Input";
import type { Note } from "../generated/Note";
import type { Output } from "../generated/Output";
import type { Setup } from "../generated/Setup";
import { decoded, encoded, list } from "./codec";

interface WebEngine {
  handle(now: number, input: Uint8Array): Uint8Array<ArrayBuffer>;
  timeout(): number;
  notes(): Uint8Array<ArrayBuffer>;
}

interface EngineModule {
  default(code: Promise<ArrayBuffer>): Promise<unknown>;
  WebEngine: new (now: number, setup: Uint8Array) => WebEngine;
}

/** The engine as the rest of the page part sees it. */
export interface RunningEngine {
  /** Throws when an input is not what its type says. */
  handle(input: Input): void;
  notes(): Note[];
  stop(): void;
}

/** The longest delay that timers take without overflowing, in milliseconds. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The engine's code, when it is there: a page that comes back from the cache for going back need not load it again. */
let loaded: EngineModule | undefined;

async function load(): Promise<EngineModule> {
  // The names are not literals, so that the bundler leaves them to the browser: the engine's files lie beside this one.
  const beside = (name: string) => new URL(name, import.meta.url).href;
  const [glue, code] = await Promise.all([
    import(beside("engine.js")) as Promise<EngineModule>,
    fetch(beside("engine_bg.wasm")),
  ]);
  await glue.default(code.arrayBuffer());
  return glue;
}

/** Loads the engine and runs it: every input is followed by all outputs that it leads to, in order. */
export async function runEngine(
  setup: Setup,
  effect: (output: Output) => void,
  failed: (error: unknown) => void,
): Promise<RunningEngine> {
  loaded ??= await load();
  const engine = new loaded.WebEngine(performance.now(), encoded(setupCodec, setup));

  const inputs: Uint8Array<ArrayBuffer>[] = [];
  let busy = false;
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function handle(input: Input): void {
    if (stopped) return;
    inputs.push(encoded(inputCodec, input));
    // An effect may lead to the next input at once; the engine is not re-entered.
    if (busy) return;
    busy = true;
    try {
      for (let next = inputs.shift(); next !== undefined; next = inputs.shift()) {
        for (const each of decoded(list(output), engine.handle(performance.now(), next))) effect(each);
      }
      clearTimeout(timer);
      const due = engine.timeout();
      if (due < Number.POSITIVE_INFINITY) {
        timer = setTimeout(() => handle("tick"), Math.min(Math.max(0, due - performance.now()), LONGEST_TIMER_MS));
      }
    } catch (error) {
      stopped = true;
      failed(error);
    } finally {
      busy = false;
    }
  }

  return {
    handle,
    notes: () => decoded(list(note), engine.notes()),
    stop() {
      handle("suspend");
      stopped = true;
      clearTimeout(timer);
    },
  };
}
