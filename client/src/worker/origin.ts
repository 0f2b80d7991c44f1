import { tell } from "./link";

/** An answer to one request: fetched once, however often it is asked for. */
export interface Rung {
  /** Fetches, or has fetched. It never rejects: what failed is a response that says so. */
  answer(): Promise<Response>;
  /** The answer is not needed any more. */
  abandon(): void;
}

/** Whether that is none, as far as a page can tell a failure from an answer: the origin failed, or it has been read. */
export function failed(response: Response): boolean {
  return response.bodyUsed || response.type === "error" || response.status >= 500;
}

/** URLs whose fetches are to be told, with how many there are. */
const told = new Map<string, number>();

/** The origin's answer to a request, by the browser's own means. */
export function origin(request: Request, url: string): Rung {
  let answer: Promise<Response> | undefined;
  return {
    answer() {
      if (!answer) {
        count(url, 1);
        answer = fetch(request).catch(() => Response.error());
      }
      return answer;
    },
    abandon() {
      if (answer) count(url, -1);
      // Nor will it be: nobody begins what nobody waits for.
      answer ??= Promise.resolve(Response.error());
      // The request itself is used as it is: one made anew to carry a signal would lose its referrer and its priority
      // (Fetch standard, "new Request", step 12). What has not been read of the answer is not sent.
      void answer.then((response) => response.body?.cancel()).catch(() => undefined);
    },
  };
}

function count(url: string, change: 1 | -1): void {
  const open = (told.get(url) ?? 0) + change;
  if (open > 0) told.set(url, open);
  else told.delete(url);
}

/**
 * Tells the leader how long the origin took and how much it sent. The browser measures that: a body that passed
 * through this script would be slower, and would end with the worker.
 */
export function observeOrigin(): void {
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as PerformanceResourceTiming[]) {
      const url = entry.name.split("#")[0] ?? entry.name;
      if (!told.has(url)) continue;
      count(url, -1);
      const { startTime, responseStart, responseEnd, responseStatus, transferSize, decodedBodySize } = entry;
      const resource = {
        url,
        // What the browser's HTTP cache answered took nothing from the origin.
        bytes: transferSize > 0 ? decodedBodySize : 0,
        first_byte_ms: Math.max(0, Math.round(responseStart - startTime)),
        total_ms: Math.max(0, Math.round(responseEnd - startTime)),
        controlled: true,
        status: responseStatus ?? 0,
      };
      tell({ fetched: resource });
    }
  });
  observer.observe({ type: "resource" });
}
