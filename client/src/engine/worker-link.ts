import type { FromWorker, ToWorker } from "../shared/wire";

/** What a worker must know that starts later. */
const LASTING = ["shelf", "session"];

/** The way between the engine and the worker, for as long as this tab leads. */
export function workerLink(receive: (message: Exclude<FromWorker, "ready">) => void) {
  /** The port that the worker uses: of several that it was offered, the one on which it has answered. */
  let port: MessagePort | undefined;
  /** Requests that the worker waits for. */
  const open = new Set<number>();
  /** What was said last of what lasts, by its kind: a worker hears it first. */
  const lasting = new Map<string, ToWorker>();

  /** A worker has begun to listen. One that was there before it has been stopped, and waits for nothing any more. */
  function use(next: MessagePort): void {
    if (port) receive({ note: { event: "started", reason: "worker_stopped", about: "worker", bytes: 0 } });
    port?.close();
    port = next;
    for (const id of open) receive({ cancel: { id, reason: null } });
    open.clear();
    for (const message of lasting.values()) next.postMessage(message);
  }

  return {
    /** The worker was offered the other end of this port. */
    offered(next: MessagePort): void {
      next.onmessage = ({ data }: MessageEvent<FromWorker>) => {
        if (data === "ready") return use(next);
        if ("request" in data) open.add(data.request.id);
        if ("cancel" in data) open.delete(data.cancel.id);
        receive(data);
      };
    },
    send(message: ToWorker, transfer: Transferable[] = []): void {
      for (const kind of LASTING) if (kind in message) lasting.set(kind, message);
      if ("end" in message) open.delete(message.end.id);
      if ("fallback" in message) open.delete(message.fallback.id);
      port?.postMessage(message, transfer);
    },
  };
}
