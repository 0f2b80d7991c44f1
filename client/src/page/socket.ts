import type { ToThread } from "../shared/thread";

/** The WebSocket to the node. */
export function socket(base: string, site: string, say: (message: ToThread) => void) {
  // Older browsers know no WebSocket by "http".
  const url = `${base.replace("http", "ws")}/mesh?site=${encodeURIComponent(site)}`;
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
      const current = (message: ToThread) => open === made && say(message);
      made.onopen = () => current("socket_opened");
      made.onmessage = ({ data }) => current({ said: data });
      made.onclose = () => {
        current("socket_closed");
        if (open === made) open = undefined;
      };
    },
    disconnect,
    tell(message: string): void {
      if (open?.readyState === WebSocket.OPEN) open.send(message);
    },
  };
}
