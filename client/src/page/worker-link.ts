import { type Aside, isAside } from "../shared/wire";

/** Tells the worker that this tab leads, and offers it ways to the engine, whenever it has none, until the signal ends it. */
export async function offerWays(give: (way: MessagePort) => void, signal: AbortSignal): Promise<void> {
  const container = navigator.serviceWorker;

  // The worker waits for this lock: it is granted at the instant at which this tab is gone.
  const lock = `edgeweave-lead-${crypto.randomUUID()}`;
  await new Promise<void>((held) => {
    void navigator.locks.request(lock, () => {
      held();
      return new Promise<void>((gone) => signal.addEventListener("abort", () => gone()));
    });
  });

  async function offer(): Promise<void> {
    const worker = container.controller ?? (await container.ready).active;
    if (signal.aborted) return;
    const { port1, port2 } = new MessageChannel();
    give(port1);
    worker?.postMessage({ edgeweave: "lead", lock }, [port2]);
  }

  container.addEventListener(
    "message",
    ({ data }) => {
      // A worker that was stopped has forgotten us, and asks again.
      if (isAside(data) && (data.edgeweave === "who" || data.edgeweave === "wanted")) void offer();
    },
    { signal },
  );
  container.addEventListener("controllerchange", offer, { signal });
  void offer();
}

/** Asks the worker for what it answers on a port of its own. */
export async function askWorker(question: Aside, ports: readonly MessagePort[]): Promise<void> {
  const { active } = await navigator.serviceWorker.ready;
  active?.postMessage(question, [...ports]);
}
