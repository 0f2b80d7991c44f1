import { input as inputCodec, note, output, setup as setupCodec } from "../generated/codecs";
import type { Input } from "../generated/Input";
import type { Note } from "../generated/Note";
import type { Output } from "../generated/Output";
import type { Setup } from "../generated/Setup";
import { decoded, encoded, list } from "./codec";

/** The engine's glue: it runs one engine at a time. */
interface Glue {
  initSync(code: { module: WebAssembly.Module }): unknown;
  start(now: number, setup: Uint8Array): void;
  handle(now: number, input: Uint8Array): Uint8Array<ArrayBuffer>;
  timeout(): number;
  notes(): Uint8Array<ArrayBuffer>;
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
let glue: Glue | undefined;
/** The inputs of the engine that runs: one that another has taken the place of hears no more. */
let current: unknown;

async function load(): Promise<Glue> {
  // The names are not literals, so that the bundler leaves them to the browser: the engine's files lie beside this one.
  const beside = (name: string) => new URL(name, import.meta.url).href;
  const [engine, module] = await Promise.all([
    import(beside("engine.js")) as Promise<Glue>,
    WebAssembly.compileStreaming(fetch(beside("engine_bg.wasm"))),
  ]);
  engine.initSync({ module });
  return engine;
}

/** Loads the engine and runs it: every input is followed by all outputs that it leads to, in order. */
export async function runEngine(
  setup: Setup,
  effect: (output: Output) => void,
  failed: (error: unknown) => void,
): Promise<RunningEngine> {
  glue ??= await load();
  const engine = glue;
  engine.start(performance.now(), encoded(setupCodec, setup));

  const inputs: Uint8Array<ArrayBuffer>[] = [];
  current = inputs;
  let busy = false;
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function handle(input: Input): void {
    if (stopped || current !== inputs) return;
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
