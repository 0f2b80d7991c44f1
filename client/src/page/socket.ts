import type { Input } from "../generated/Input";
import type { ToNode } from "../generated/ToNode";
import type { ToPeer } from "../generated/ToPeer";

/** The WebSocket to the node. */
export function socket(base: string, site: string, handle: (input: Input) => void) {
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
      const current = (input: Input) => open === made && handle(input);
      made.onopen = () => current("socket_opened");
      made.onmessage = ({ data }) => {
        try {
          current({ heard: JSON.parse(data) as ToPeer });
        } catch {
          // The node may be newer.
          const bytes = String(data).length;
          current({ note: { event: "error", reason: "malformed", about: "message from the node", bytes } });
        }
      };
      made.onclose = () => {
        if (open !== made) return;
        open = undefined;
        handle("socket_closed");
      };
    },
    disconnect,
    say(message: ToNode): void {
      if (open?.readyState === WebSocket.OPEN) open.send(JSON.stringify(message));
    },
  };
}
