import type { Setting, ToPage, ToThread, Way } from "../shared/thread";

/** The engine's thread, as the page has it. */
export type Thread = Way<ToThread, ToPage> & Pick<Worker, "terminate" | "onerror">;

/** What a policy forbids fails at once, and within so long, in milliseconds, an event says that it was the policy. */
const WHY_MS = 100;

/** Starts the engine on a thread of its own: the page has other things to do than to read manifests and verify pieces. */
export function startThread(setting: Setting): Promise<Thread> {
  // A worker's own file would have to be of the page's origin, and this one is the node's. Imported in this way, it is a
  // script like the page's own, also for a Content-Security-Policy.
  const start = `(${begin})(${JSON.stringify(import.meta.url)},${WHY_MS})`;
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

/** Brings in the engine, or says why that cannot be. Runs in the thread, by its text: it can use nothing from around it. */
function begin(file: string, whyMs: number): void {
  let forbidden = "";
  addEventListener("securitypolicyviolation", (event) => {
    const { blockedURI, disposition } = event as SecurityPolicyViolationEvent;
    if (disposition === "enforce") forbidden = `content security policy: ${blockedURI}`;
  });
  self.onmessage = ({ data }: MessageEvent<Setting>) =>
    import(file)
      .then((part) => part.run(self, data))
      .catch((error) => setTimeout(() => postMessage({ failed: forbidden || String(error) }), whyMs));
}
