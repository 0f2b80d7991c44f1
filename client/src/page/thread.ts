import type { Setting, ToPage, ToThread, Way } from "../shared/thread";

/** The engine's thread, as the page has it. */
export type Thread = Way<ToThread, ToPage> & Pick<Worker, "terminate" | "onerror">;

/** The engine's code: a page that comes back from the cache for going back need not load it again. */
let code: WebAssembly.Module | undefined;

/** Starts the engine on a thread of its own: the page has other things to do than to read manifests and verify pieces. */
export function startThread(setting: Omit<Setting, "code">): Promise<Thread> {
  // A worker's own file would have to be of the page's origin, and this one is the node's. Imported in this way, it is a
  // script like the page's own, also for a Content-Security-Policy.
  const file = JSON.stringify(import.meta.url);
  const start = `onmessage=e=>import(${file}).then(m=>m.run(self,e.data),e=>postMessage({failed:""+e}))`;
  const url = URL.createObjectURL(new Blob([start], { type: "text/javascript" }));
  const thread = new Worker(url);
  const running = new Promise<Thread>((runs, refused) => {
    const failed = (error: unknown) => {
      thread.terminate();
      refused(error);
    };
    thread.onmessage = ({ data }) => (data === "ready" ? runs(thread) : failed(data.failed));
    thread.onerror = ({ message }) => failed(message ?? "no thread");
    // While the thread starts. A policy that forbids it says so to the page.
    compiled().then((code) => thread.postMessage({ ...setting, code } satisfies Setting), failed);
  });
  return running.finally(() => URL.revokeObjectURL(url));
}

async function compiled(): Promise<WebAssembly.Module> {
  code ??= await WebAssembly.compileStreaming(fetch(new URL("engine.wasm", import.meta.url)));
  return code;
}
