import type { Prefetch } from "../generated/Prefetch";

/**
 * Has the browser fetch the document of a linked page before the visitor goes there, by its own means
 * (https://developer.mozilla.org/docs/Web/API/Speculation_Rules_API), as eagerly as it is told later. Browsers that have
 * none see a script that is none. Addresses with a query and links that say "nofollow" often do something instead of
 * showing something, and downloads are no pages.
 */
export function prefetching(nonce: string | undefined): (eagerness: Prefetch) => void {
  let rules: HTMLScriptElement | undefined;
  let eagerness: Prefetch = "off";
  let isPointed = false;
  // Who follows a link points at something first. Until then there are no rules: the browser draws the page anew for them.
  addEventListener(
    "pointerover",
    () => {
      isPointed = true;
      say();
    },
    { once: true },
  );
  return (wanted) => {
    eagerness = wanted;
    if (isPointed) say();
  };

  function say(): void {
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
}
