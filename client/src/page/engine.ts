import type { Input } from "../generated/Input";
import type { Note } from "../generated/Note";
import type { Output } from "../generated/Output";
import type { Setup } from "../generated/Setup";

interface WebEngine {
  handle(now: number, input: string): void;
  poll(): string | undefined;
  timeout(): number;
  notes(): string;
}

interface EngineModule {
  default(source: { module_or_path: URL }): Promise<unknown>;
  WebEngine: new (now: number, setup: string) => WebEngine;
}

/** The engine as the rest of the page part sees it. */
export interface RunningEngine {
  handle(input: Input): void;
  notes(): Note[];
  stop(): void;
}

/** The longest delay that timers take without overflowing, in milliseconds. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Loads the engine and runs it: every input is followed by all outputs that it leads to, in order. */
export async function runEngine(
  setup: Setup,
  effect: (output: Output) => void,
  failed: (error: unknown) => void,
): Promise<RunningEngine> {
  // The name is not a literal, so that the bundler leaves it to the browser: the engine's files lie beside this one.
  const glue = new URL("./engine.js", import.meta.url);
  const module = (await import(glue.href)) as EngineModule;
  await module.default({ module_or_path: new URL("./engine_bg.wasm", import.meta.url) });
  const engine = new module.WebEngine(performance.now(), JSON.stringify(setup));

  const inputs: Input[] = [];
  let busy = false;
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function handle(input: Input): void {
    if (stopped) return;
    inputs.push(input);
    // An effect may lead to the next input at once; the engine is not re-entered.
    if (busy) return;
    busy = true;
    try {
      for (let next = inputs.shift(); next !== undefined; next = inputs.shift()) {
        engine.handle(performance.now(), JSON.stringify(next));
        for (let json = engine.poll(); json !== undefined; json = engine.poll()) effect(JSON.parse(json) as Output);
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
    notes: () => JSON.parse(engine.notes()) as Note[],
    stop() {
      handle("suspend");
      stopped = true;
      clearTimeout(timer);
    },
  };
}
