import type { Input } from "../generated/Input";
import type { Output } from "../generated/Output";
import type { Reason } from "../generated/Reason";
import { type Channel, type Joined, join } from "../shared/channel";
import type { Sent } from "../shared/thread";
import { isLocal, withoutLocal } from "./candidates";
import type { Thread } from "./thread";

type Opening = Extract<Output, { open_peer: unknown }>["open_peer"];
type Signal = { description: RTCSessionDescriptionInit } | { candidate: RTCIceCandidateInit };

interface Neighbour {
  connection: RTCPeerConnection;
  /** None where the engine's thread has it. */
  channel: Channel | undefined;
  signal(signal: unknown): void;
}

/** The peer connections. */
export function neighbours(engine: Thread) {
  const all = new Map<string, Neighbour>();
  const handle = (input: Input) => engine.postMessage(input, []);

  function close(peer: string): void {
    const neighbour = all.get(peer);
    all.delete(peer);
    neighbour?.channel?.leave();
    neighbour?.connection.close();
  }

  function lost(peer: string, neighbour: Neighbour, reason: Reason): void {
    if (all.get(peer) !== neighbour) return;
    // The reason comes before the end of the channel does.
    handle({ peer_closed: { peer, reason } });
    close(peer);
  }

  function open(opening: Opening): void {
    try {
      all.set(opening.peer, connect(opening));
    } catch {
      // Browsers limit how many connections a page may make, and a policy may forbid them all.
      handle({ peer_closed: { peer: opening.peer, reason: "connect_failed" } });
    }
  }

  function connect({ peer, offers, stun, strip_local }: Opening): Neighbour {
    const connection = new RTCPeerConnection({ iceServers: stun.length > 0 ? [{ urls: stun }] : [] });
    // Both sides know the channel beforehand, which saves its own negotiation.
    const channel = give({ channel: connection.createDataChannel("edgeweave", { negotiated: true, id: 0 }), peer });

    const say = (signal: Signal) => {
      if (all.get(peer) === neighbour) handle({ peer_signal: { peer, signal } });
    };
    const describe = async () => {
      await connection.setLocalDescription();
      const description = connection.localDescription;
      if (!description) return;
      const sdp = strip_local ? withoutLocal(description.sdp) : description.sdp;
      say({ description: { type: description.type, sdp } });
    };
    const hear = async (signal: Signal) => {
      // One candidate that this browser cannot use leaves the others.
      if ("candidate" in signal) return connection.addIceCandidate(signal.candidate).catch(() => undefined);
      await connection.setRemoteDescription(signal.description);
      if (signal.description.type === "offer") await describe();
    };
    // Signals are taken one after the other: a candidate that overtakes its description would be refused.
    let turn = Promise.resolve();
    const inTurn = (step: () => Promise<void>) => {
      turn = turn.then(step).catch(() => lost(peer, neighbour, "connect_failed"));
    };
    const neighbour: Neighbour = {
      connection,
      channel,
      signal: (signal) => inTurn(() => hear(signal as Signal)),
    };

    connection.onicecandidate = ({ candidate }) => {
      if (candidate && !(strip_local && isLocal(candidate.candidate))) say({ candidate: candidate.toJSON() });
    };
    let met = false;
    connection.onconnectionstatechange = () => {
      met ||= connection.connectionState === "connected";
      if (connection.connectionState === "failed") lost(peer, neighbour, met ? "channel_closed" : "connect_failed");
    };
    if (offers) inTurn(describe);
    return neighbour;
  }

  /** Gives the engine's thread a channel, which browsers allow at once or never, and some not at all. */
  function give(made: Joined): Channel | undefined {
    try {
      engine.postMessage(made, [made.channel as unknown as Transferable]);
      return undefined;
    } catch {
      return join(made, (message, transfer) => engine.postMessage(message, transfer));
    }
  }

  return {
    open,
    close,
    send: (sent: Sent) => void all.get(sent.peer)?.channel?.send(sent),
    signal(peer: string, signal: unknown): void {
      all.get(peer)?.signal(signal);
    },
    closeAll(): void {
      for (const peer of [...all.keys()]) close(peer);
    },
  };
}
