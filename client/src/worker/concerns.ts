import type { ByteRange } from "../generated/ByteRange";
import { parseRange } from "./range";

/** Kinds of request that the mesh never serves: documents, whatever runs as one, and whatever embeds one. */
const UNTOUCHED = new Set<string>([
  "document",
  "embed",
  "frame",
  "iframe",
  "object",
  "report",
  "serviceworker",
  "sharedworker",
  "worker",
]);

/** The page insists on the network, or on the HTTP cache alone. */
const INSISTING = new Set<RequestCache>(["no-store", "reload", "only-if-cached"]);

/** What of a request concerns the mesh. */
export interface Concern {
  /** The absolute URL without fragment. */
  url: string;
  range: ByteRange | null;
}

/** Whether the mesh may answer a request at all; nothing when it is the browser's own business. */
export function concerns(request: Request): Concern | undefined {
  if (request.method !== "GET" || request.mode === "navigate" || UNTOUCHED.has(request.destination)) return undefined;
  if (INSISTING.has(request.cache) || request.headers.has("authorization") || request.integrity) return undefined;
  const header = request.headers.get("range");
  const range = header === null ? null : parseRange(header);
  const url = request.url.split("#")[0];
  return range === undefined || !url?.startsWith("http") ? undefined : { url, range };
}
