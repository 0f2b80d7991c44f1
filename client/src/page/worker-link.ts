import { type FromWorker, isAside, type ToWorker } from "../shared/wire";

/** The way from the tab that leads to the worker, for as long as this tab leads. */
export interface WorkerLink {
  send(message: ToWorker, transfer?: Transferable[]): void;
  close(): void;
}

/** Tells the worker that this tab leads, and hears what it wants. */
export async function workerLink(
  receive: (message: Exclude<FromWorker, "ready">) => void,
  /** What a worker must hear first. */
  greeting: () => ToWorker[],
): Promise<WorkerLink> {
  const container = navigator.serviceWorker;
  /** The port that the worker uses: of several that it was offered, the one on which it has answered. */
  let port: MessagePort | undefined;
  /** Requests that the worker waits for. */
  const open = new Set<number>();

  // The worker waits for this lock: it is granted at the instant at which this tab is gone.
  const lock = `edgeweave-lead-${crypto.randomUUID()}`;
  const ending = new AbortController();
  await new Promise<void>((held) => {
    void navigator.locks.request(lock, () => {
      held();
      return new Promise<void>((gone) => ending.signal.addEventListener("abort", () => gone()));
    });
  });

  async function offer(): Promise<void> {
    const worker = container.controller ?? (await container.ready).active;
    if (ending.signal.aborted) return;
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (data === "ready") return use(port1);
      if ("request" in data) open.add(data.request.id);
      if ("cancel" in data) open.delete(data.cancel.id);
      receive(data);
    };
    worker?.postMessage({ edgeweave: "lead", lock }, [port2]);
  }

  /** A worker has begun to listen. One that was there before it has been stopped, and waits for nothing any more. */
  function use(next: MessagePort): void {
    if (port) receive({ note: { event: "started", reason: "worker_stopped", about: "worker", bytes: 0 } });
    port?.close();
    port = next;
    for (const id of open) receive({ cancel: { id, reason: null } });
    open.clear();
    for (const message of greeting()) next.postMessage(message);
  }

  container.addEventListener(
    "message",
    ({ data }) => {
      // A worker that was stopped has forgotten us, and asks again.
      if (isAside(data) && (data.edgeweave === "who" || data.edgeweave === "wanted")) void offer();
    },
    { signal: ending.signal },
  );
  container.addEventListener("controllerchange", offer, { signal: ending.signal });
  void offer();

  return {
    send(message, transfer = []) {
      if ("end" in message) open.delete(message.end.id);
      if ("fallback" in message) open.delete(message.fallback.id);
      port?.postMessage(message, transfer);
    },
    close() {
      ending.abort();
      port?.close();
    },
  };
}
