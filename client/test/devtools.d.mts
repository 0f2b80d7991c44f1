/** A page, by what it can be told. */
export interface Page {
  /** A command of the DevTools protocol, and what it returns. */
  send(method: string, params?: object): Promise<Record<string, unknown>>;
  /** Calls `listener` with each event until what it returns is called. */
  listen(listener: (method: string, params: Record<string, unknown>) => void): () => boolean;
  /** Runs a function in the page, and returns what it returns. */
  // biome-ignore lint/suspicious/noExplicitAny: what comes from a page is what its function returns.
  evaluate(run: (...args: any[]) => unknown, ...args: unknown[]): Promise<any>;
  /** Does what leads to another page, and waits until that has loaded. */
  load(lead: () => Promise<{ errorText?: string } | undefined>, timeoutMs: number): Promise<void>;
}

/** A browser that runs. */
export interface Launched {
  first: Page;
  newPage(): Promise<Page>;
  close(): Promise<void>;
}

/** Starts a browser with a profile; its first page is there. */
export function launch(how: { executable: string; profile: string; flags: string[] }): Promise<Launched>;

export const ALONE: string[];
