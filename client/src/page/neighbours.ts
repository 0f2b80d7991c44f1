import type { Input } from "../generated/Input";
import type { Reason } from "../generated/Reason";
import { isLocal, withoutLocal } from "./candidates";
import type { Payloads } from "./payloads";

/** Bytes that a channel may buffer before it is given more: measured throughput levels off there. */
const BUFFERED_MOST = 1 << 20;
/** The first byte of a piece's frame, and the length of its header. */
const PIECE_KIND = 4;
const PIECE_HEADER_BYTES = 9;

interface Opening {
  peer: string;
  offers: boolean;
  stun: string[];
  strip_local: boolean;
}

type Signal = { description: RTCSessionDescriptionInit } | { candidate: RTCIceCandidateInit };

interface Neighbour {
  connection: RTCPeerConnection;
  channel: RTCDataChannel;
  /** Waits until the channel's buffer has room. */
  room(): Promise<void>;
  signal(signal: Signal): void;
}

/** The peer connections. */
export function neighbours(payloads: Payloads, handle: (input: Input) => void) {
  const all = new Map<string, Neighbour>();

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

  function open({ peer, offers, stun, strip_local }: Opening): void {
    const connection = new RTCPeerConnection({ iceServers: stun.length > 0 ? [{ urls: stun }] : [] });
    // Both sides know the channel beforehand, which saves its own negotiation.
    const channel = connection.createDataChannel("edgeweave", { negotiated: true, id: 0 });
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = BUFFERED_MOST / 2;

    const say = (signal: Signal) => handle({ peer_signal: { peer, signal: JSON.stringify(signal) } });
    const describe = async () => {
      await connection.setLocalDescription();
      const description = connection.localDescription;
      if (!description) return;
      const sdp = strip_local ? withoutLocal(description.sdp) : description.sdp;
      say({ description: { type: description.type, sdp } });
    };
    // Signals are taken one after the other: a candidate that overtakes its description would be refused.
    let turn: Promise<void> = Promise.resolve();
    const inTurn = (step: () => Promise<void>) => {
      turn = turn.then(step).catch(() => lost(peer, neighbour, "connect_failed"));
    };
    const neighbour: Neighbour = {
      connection,
      channel,
      async room() {
        if (channel.bufferedAmount < BUFFERED_MOST) return;
        await new Promise<void>((resolve) => {
          channel.addEventListener("bufferedamountlow", () => resolve(), { once: true });
          channel.addEventListener("close", () => resolve(), { once: true });
        });
      },
      signal(signal) {
        inTurn(async () => {
          if ("candidate" in signal) return connection.addIceCandidate(signal.candidate);
          await connection.setRemoteDescription(signal.description);
          if (signal.description.type === "offer") await describe();
        });
      },
    };
    all.set(peer, neighbour);

    connection.onicecandidate = ({ candidate }) => {
      if (candidate && !(strip_local && isLocal(candidate.candidate))) say({ candidate: candidate.toJSON() });
    };
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === "failed") lost(peer, neighbour, "connect_failed");
    };
    channel.onopen = () => handle({ peer_opened: { peer } });
    channel.onclose = () => lost(peer, neighbour, "channel_closed");
    channel.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => {
      if (typeof data === "string") return handle({ frame: { peer, header: [], payload: null } });
      const bytes = new Uint8Array(data);
      const isPiece = bytes[0] === PIECE_KIND;
      const header = [...(isPiece ? bytes.subarray(0, PIECE_HEADER_BYTES) : bytes)];
      const payload = isPiece ? payloads.keep(bytes.subarray(PIECE_HEADER_BYTES)) : null;
      handle({ frame: { peer, header, payload } });
    };
    if (offers) inTurn(describe);
  }

  /** Gives a channel a frame; one that cannot take it is about to close. */
  function send(peer: string, frame: Uint8Array<ArrayBuffer>): void {
    try {
      all.get(peer)?.channel.send(frame);
    } catch {
      // `onclose` follows.
    }
  }

  return {
    open,
    close,
    send,
    signal(peer: string, signal: string): void {
      all.get(peer)?.signal(JSON.parse(signal) as Signal);
    },
    /** Sends a piece, and returns when the channel has room for the next. */
    async sendPiece(peer: string, header: number[], payload: Uint8Array): Promise<void> {
      const frame = new Uint8Array(header.length + payload.length);
      frame.set(header);
      frame.set(payload, header.length);
      send(peer, frame);
      await all.get(peer)?.room();
    },
  };
}
