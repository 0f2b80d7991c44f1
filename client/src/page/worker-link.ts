import type { FromWorker, ToWorker } from "../shared/wire";
import { isAside } from "../shared/wire";

/** The way from the tab that leads to the worker, for as long as this tab leads. */
export async function workerLink(
  receive: (message: FromWorker) => void,
  /** What a worker that has just started must hear first. */
  greet: () => ToWorker[],
) {
  const container = navigator.serviceWorker;
  let port: MessagePort | undefined;
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
    port?.close();
    port = port1;
    port1.onmessage = ({ data }: MessageEvent<FromWorker>) => receive(data);
    worker?.postMessage({ edgeweave: "lead", lock }, [port2]);
    for (const message of greet()) port1.postMessage(message);
  }

  // A worker that was stopped has forgotten us, and asks again when it needs somebody.
  const asked = (event: MessageEvent) => {
    if (isAside(event.data) && event.data.edgeweave === "wanted") void offer();
  };
  container.addEventListener("message", asked);
  container.addEventListener("controllerchange", offer);
  void offer();

  return {
    send(message: ToWorker, transfer: Transferable[] = []): void {
      port?.postMessage(message, transfer);
    },
    close(): void {
      ending.abort();
      container.removeEventListener("message", asked);
      container.removeEventListener("controllerchange", offer);
      port?.close();
    },
  };
}
