import type { Prefetch } from "../generated/Prefetch";

let rules: HTMLScriptElement | undefined;

/**
 * Has the browser fetch the document of a linked page before the visitor goes there, by its own means
 * (https://developer.mozilla.org/docs/Web/API/Speculation_Rules_API). Browsers that have none see a script that is none.
 * Addresses with a query and links that say "nofollow" often do something instead of showing something, and downloads
 * are no pages.
 */
export function prefetch(eagerness: Prefetch, nonce: string | undefined): void {
  if ((rules?.title ?? "off") === eagerness) return;
  rules?.remove();
  rules = undefined;
  // Where there is nothing to say, a policy that forbids saying it has nothing to complain of.
  if (eagerness === "off") return;
  const where = {
    and: [
      { href_matches: { pathname: "/*", search: "" } },
      { not: { selector_matches: "[rel~=nofollow],[download]" } },
    ],
  };
  rules = Object.assign(document.createElement("script"), { title: eagerness, type: "speculationrules", nonce });
  rules.append(JSON.stringify({ prefetch: [{ where, eagerness }] }));
  document.head.append(rules);
}
