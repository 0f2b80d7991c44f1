/**
 * The browser's own copy of a content, or a range of it, from its HTTP cache; nothing when it has none. It is read here,
 * because browsers complain of what they do not have in the console of whoever asks.
 */
export async function ownCopy(url: string, range: string | null): Promise<Blob | null> {
  const headers: HeadersInit = range ? { range } : {};
  // The HTTP cache's own mode exists for the worker's origin only (Fetch standard, "cache mode").
  const how: RequestInit =
    new URL(url).origin === location.origin
      ? { cache: "only-if-cached", mode: "same-origin" }
      : { cache: "force-cache", mode: "cors", credentials: "omit" };
  const response = await fetch(url, { headers, ...how }).catch(() => undefined);
  if (response?.status === (range ? 206 : 200)) return response.blob().catch(() => null);
  await response?.body?.cancel();
  return null;
}
