import type { ToPage } from "../shared/thread";

/** How long the worker may take to read a copy, in milliseconds. A browser may stop it meanwhile. */
const READ_MS = 30_000;

/** Has the page ask the worker for the browser's own copy of a content, or of a range of it; nothing when there is none. */
export function ownCopy(
  url: string,
  range: string | null,
  say: (message: ToPage, transfer: Transferable[]) => void,
): Promise<Blob | undefined> {
  const { port1, port2 } = new MessageChannel();
  const copy = new Promise<Blob | undefined>((read) => {
    port1.onmessage = ({ data }: MessageEvent<Blob | null>) => read(data ?? undefined);
    setTimeout(read, READ_MS, undefined);
  });
  say({ ask: { edgeweave: "copy", url, range } }, [port2]);
  return copy.finally(() => port1.close());
}
