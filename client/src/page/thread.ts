import type { Setting, ToPage, ToThread, Way } from "../shared/thread";

/** The engine's thread, as the page has it. */
export type Thread = Way<ToThread, ToPage> & Pick<Worker, "terminate" | "onerror">;

/** The browser says why a policy has forbidden something within so long after it failed, in milliseconds. */
const WHY_MS = 100;

/** Starts the engine on a thread of its own: the page has other things to do than to read manifests and verify pieces. */
export function startThread(setting: Setting): Promise<Thread> {
  // A worker's own file would have to be of the page's origin, and this one is the node's. Imported in this way, it is a
  // script like the page's own, also for a Content-Security-Policy. A URL has no quotation marks.
  const failed = `e=>setTimeout(postMessage,${WHY_MS},{failed:String(e)})`;
  const start = `onmessage=e=>import("${import.meta.url}").then(m=>m.run(self,e.data)).catch(${failed})`;
  const url = URL.createObjectURL(new Blob([start], { type: "text/javascript" }));
  const thread = new Worker(url);
  thread.postMessage(setting);
  const running = new Promise<Thread>((runs, refused) => {
    thread.onmessage = ({ data }) => (data === "ready" ? runs(thread) : refused(data.failed));
    thread.onerror = ({ message }) => refused(message ?? "no thread");
  });
  running.catch(() => thread.terminate());
  return running.finally(() => URL.revokeObjectURL(url));
}
