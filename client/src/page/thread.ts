import type { Setting, ToPage, ToThread, Way } from "../shared/thread";

/** The page's end of the way to the engine. */
export type Thread = Way<ToThread, ToPage> & { onerror?: unknown };

/** The engine's code: a page that comes back from the cache for going back need not load it again. */
let code: WebAssembly.Module | undefined;

/** Starts the engine on a thread of its own: the page has other things to do than to read manifests and verify pieces. */
export async function startThread(setting: Omit<Setting, "code">): Promise<Thread> {
  // A worker's own file would have to be of the page's origin, and this one is the node's. Imported in this way, it is a
  // script like the page's own, also for a Content-Security-Policy.
  const file = JSON.stringify(import.meta.url);
  const start = `onmessage=e=>import(${file}).then(m=>m.run(self,e.data),e=>postMessage({failed:""+e}))`;
  const url = URL.createObjectURL(new Blob([start], { type: "text/javascript" }));
  const thread = new Worker(url);
  try {
    await new Promise<void>((runs, refused) => {
      thread.onmessage = ({ data }) => (data === "ready" ? runs() : refused(data.failed));
      thread.onerror = ({ message }) => refused(message ?? "thread not loaded");
      // While the thread starts. A policy that forbids it says so to the page.
      compiled().then((code) => thread.postMessage({ ...setting, code } satisfies Setting), refused);
    });
    return thread;
  } catch (error) {
    thread.terminate();
    throw error;
  } finally {
    URL.revokeObjectURL(url);
  }
}

async function compiled(): Promise<WebAssembly.Module> {
  code ??= await WebAssembly.compileStreaming(fetch(new URL("engine.wasm", import.meta.url)));
  return code;
}
