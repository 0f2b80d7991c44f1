/** Counts by what answered. */
export interface Sources {
  cache: number;
  peers: number;
  supernode: number;
  origin: number;
}

/** What clients report, added up. */
export interface Traffic {
  requests: Sources;
  bytes: Sources;
  uploaded: number;
  replicated: number;
  replicated_used: number;
}

/** A site's numbers at a moment. */
export interface Sample {
  at_ms: number;
  crowd: number;
  holders: number;
  assets: number;
  introductions: number;
  traffic: Traffic;
}

/** `GET /api/v1/sites/{site}/activity` */
export interface Activity {
  crowd: number;
  holders: number;
  assets: number;
  admissions: number;
  refusals: Record<string, number>;
  signals: number;
  introductions: number;
  met: number;
  failed: Record<string, number>;
  faults: Record<string, number>;
  traffic: Traffic;
  notes: { event: string; reason: string | null; count: number }[];
  countries: Record<string, number>;
  every_ms: number;
  samples: Sample[];
}

/** A site, as `GET /api/v1/sites` lists it. */
export interface Site {
  id: string;
  origins: string[];
  upstream: string | null;
}

/** The node wants its token. */
export class TokenWanted extends Error {}

const TOKEN_KEY = "edgeweave-token";

/** Keeps the token for as long as this tab is open. */
export function rememberToken(token: string): void {
  sessionStorage.setItem(TOKEN_KEY, token);
}

/** Asks the node. */
export async function ask<T>(path: string): Promise<T> {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const headers: HeadersInit = token ? { authorization: `Bearer ${token}` } : {};
  const response = await fetch(`/api/v1/${path}`, { headers });
  if (response.status === 401) throw new TokenWanted("this node wants its token");
  if (!response.ok) {
    const problem = (await response.json().catch(() => ({}))) as { error?: string; way_out?: string };
    throw new Error(
      [problem.error ?? `the node answered ${response.status}`, problem.way_out].filter(Boolean).join("; "),
    );
  }
  return (await response.json()) as T;
}
