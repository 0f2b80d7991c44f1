import type { Aside } from "../shared/wire";

/** How long the worker may take to read a copy, in milliseconds. A browser may stop it meanwhile. */
const READ_MS = 30_000;

/** Asks the worker for the browser's own copy of a content, or of a range of it; nothing when there is none. */
export async function ownCopy(url: string, range: string | null): Promise<Blob | undefined> {
  const { active } = await navigator.serviceWorker.ready;
  const { port1, port2 } = new MessageChannel();
  const copy = new Promise<Blob | undefined>((read) => {
    port1.onmessage = ({ data }: MessageEvent<Blob | null>) => read(data ?? undefined);
    setTimeout(read, READ_MS, undefined);
  });
  active?.postMessage({ edgeweave: "copy", url, range } satisfies Aside, [port2]);
  return copy.finally(() => port1.close());
}
