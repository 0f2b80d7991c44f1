import type { Input } from "../generated/Input";

/** The WebSocket to the node. */
export function socket(base: string, site: string, handle: (input: Input) => void) {
  const url = new URL("/mesh", base);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("site", site);
  let open: WebSocket | undefined;

  function disconnect(): void {
    const closing = open;
    open = undefined;
    closing?.close();
  }

  return {
    connect(): void {
      disconnect();
      const made = new WebSocket(url);
      open = made;
      // What an earlier socket says after it was given up is not heard.
      const current = (input: Input) => open === made && handle(input);
      made.onopen = () => current("socket_opened");
      made.onmessage = ({ data }) => current({ socket_text: { text: String(data) } });
      made.onclose = () => {
        if (open !== made) return;
        open = undefined;
        handle("socket_closed");
      };
    },
    disconnect,
    send(text: string): void {
      if (open?.readyState === WebSocket.OPEN) open.send(text);
    },
  };
}
