/** How long the indicator stays after something was shared, in milliseconds. */
const LINGER_MS = 3_000;

/** Shows a small mark while this tab shares; returns a function that is told the bytes uploaded so far. */
export function showIndicator(): (uploaded: number) => void {
  const host = document.createElement("div");
  const root = host.attachShadow({ mode: "closed" });
  const mark = document.createElement("div");
  mark.textContent = "⇅ sharing";
  mark.title = "This page is helping other visitors to load it (Edgeweave).";
  // A Content-Security-Policy that forbids style elements and attributes lets this pass.
  mark.style.cssText =
    "position:fixed;right:8px;bottom:8px;padding:2px 8px;font:12px system-ui,sans-serif;color:#fff;background:#0b6e4fcc;" +
    "border-radius:10px;opacity:0;transition:opacity .3s;pointer-events:none;z-index:2147483647";
  root.append(mark);
  document.body.append(host);
  let before = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  return (uploaded) => {
    if (uploaded <= before) return;
    before = uploaded;
    mark.style.opacity = "1";
    clearTimeout(timer);
    timer = setTimeout(() => {
      mark.style.opacity = "0";
    }, LINGER_MS);
  };
}
