import type { Input } from "../generated/Input";
import type { Output } from "../generated/Output";
import type { Reason } from "../generated/Reason";
import type { Sent } from "../shared/thread";
import { isLocal, withoutLocal } from "./candidates";
import type { Thread } from "./thread";

/** Bytes that a channel may buffer before it is given more: measured throughput levels off there. */
const BUFFERED_MOST = 1 << 20;
type Opening = Extract<Output, { open_peer: unknown }>["open_peer"];
type Signal = { description: RTCSessionDescriptionInit } | { candidate: RTCIceCandidateInit };

interface Neighbour {
  connection: RTCPeerConnection;
  channel: RTCDataChannel;
  signal(signal: unknown): void;
}

/** The peer connections. */
export function neighbours(engine: Thread) {
  const all = new Map<string, Neighbour>();
  const handle = (input: Input) => engine.postMessage(input, []);

  function close(peer: string): void {
    const neighbour = all.get(peer);
    all.delete(peer);
    neighbour?.connection.close();
  }

  function lost(peer: string, neighbour: Neighbour, reason: Reason): void {
    if (all.get(peer) !== neighbour) return;
    close(peer);
    handle({ peer_closed: { peer, reason } });
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
    const channel = connection.createDataChannel("edgeweave", { negotiated: true, id: 0 });
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = BUFFERED_MOST / 2;

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
    connection.onconnectionstatechange = () => {
      if (connection.connectionState !== "failed") return;
      lost(peer, neighbour, channel.readyState === "connecting" ? "connect_failed" : "channel_closed");
    };
    channel.onopen = () => all.get(peer) === neighbour && handle({ peer_opened: { peer } });
    channel.onclose = () => lost(peer, neighbour, "channel_closed");
    channel.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => {
      // What was on its way when the acquaintance ended is nobody's.
      if (all.get(peer) !== neighbour) return;
      engine.postMessage({ arrived: { peer, data } }, typeof data === "string" ? [] : [data]);
    };
    if (offers) inTurn(describe);
    return neighbour;
  }

  /** Gives a channel a frame, and says of a piece when there is room for the next. */
  async function send({ peer, bytes, transfer }: Sent): Promise<void> {
    try {
      all.get(peer)?.channel.send(bytes);
    } catch {
      // One that cannot take it is about to close: `onclose` follows.
    }
    if (transfer === undefined) return;
    await room(peer);
    handle({ piece_sent: { peer, transfer } });
  }

  /** Waits until a channel's buffer has room. */
  async function room(peer: string): Promise<void> {
    const channel = all.get(peer)?.channel;
    if (!channel || channel.bufferedAmount < BUFFERED_MOST) return;
    await new Promise<unknown>((resolve) => {
      channel.addEventListener("bufferedamountlow", resolve, { once: true });
      channel.addEventListener("close", resolve, { once: true });
    });
  }

  return {
    open,
    close,
    send,
    signal(peer: string, signal: unknown): void {
      all.get(peer)?.signal(signal);
    },
    closeAll(): void {
      for (const peer of [...all.keys()]) close(peer);
    },
  };
}
