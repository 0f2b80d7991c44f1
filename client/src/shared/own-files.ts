/** Tells which URLs are the client's own, and no resources of the site. */
export function ownFiles(base: string): (url: string) => boolean {
  const client = new URL("/client/", base).href;
  const ours = new Set([`${base}/edgeweave.js`, `${base}/edgeweave-sw.js`, `${base}/report`]);
  return (url) => url.startsWith(client) || ours.has(url.split("?")[0] ?? "");
}
