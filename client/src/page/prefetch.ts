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
  // The browser draws the page anew for rules. Who has a mouse points at something before following a link, unless it
  // rests there since the page before; of a finger nobody hears before it is too late.
  let isPointed = matchMedia("(pointer: coarse)").matches || document.querySelector("a:hover") !== null;
  const point = () => {
    isPointed = true;
    say();
  };
  addEventListener("pointerover", point, { once: true, capture: true });
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
