import type { Prefetch } from "../generated/Prefetch";

let rules: HTMLScriptElement | undefined;

/**
 * Has the browser fetch the document of a linked page before the visitor goes there, by its own means
 * (https://developer.mozilla.org/docs/Web/API/Speculation_Rules_API). Browsers that have none see a script that is none.
 * Addresses with a query and links that say "nofollow" often do something instead of showing something.
 */
export function prefetch(eagerness: Prefetch, nonce: string | undefined): void {
  if (rules?.title === eagerness) return;
  rules?.remove();
  const where = {
    and: [{ href_matches: { pathname: "/*", search: "" } }, { not: { selector_matches: "[rel~=nofollow]" } }],
  };
  rules = Object.assign(document.createElement("script"), {
    title: eagerness,
    type: "speculationrules",
    nonce,
  });
  rules.append(JSON.stringify({ prefetch: eagerness === "off" ? [] : [{ where, eagerness }] }));
  document.head.append(rules);
}
