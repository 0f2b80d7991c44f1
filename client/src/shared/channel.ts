import type { Sent, ToThread } from "./thread";

/** Bytes that a channel may buffer before it is given more: measured throughput levels off there. */
const BUFFERED_MOST = 1 << 20;

/** A neighbour's channel. */
export interface Joined {
  peer: string;
  channel: RTCDataChannel;
}

/** A channel to a neighbour, wherever it lives. */
export interface Channel {
  /** Gives it a frame, and says of a piece when there is room for the next. */
  send(sent: Sent): Promise<void>;
  /** Nothing of it is heard any more. */
  leave(): void;
}

/** Has the engine hear what becomes of a channel and what comes on it. */
export function join({ channel, peer }: Joined, hear: (message: ToThread, transfer: Transferable[]) => void): Channel {
  channel.binaryType = "arraybuffer";
  channel.bufferedAmountLowThreshold = BUFFERED_MOST / 2;
  channel.onopen = () => hear({ peer_opened: { peer } }, []);
  channel.onclose = () => hear({ peer_closed: { peer, reason: "channel_closed" } }, []);
  channel.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) =>
    hear({ peer, data }, typeof data === "string" ? [] : [data]);

  /** Waits until the channel's buffer has room. */
  async function room(): Promise<void> {
    if (channel.bufferedAmount < BUFFERED_MOST) return;
    await new Promise<unknown>((resolve) => {
      channel.addEventListener("bufferedamountlow", resolve, { once: true });
      channel.addEventListener("close", resolve, { once: true });
    });
  }

  return {
    async send({ bytes, transfer }) {
      try {
        channel.send(bytes);
      } catch {
        // One that cannot take it is about to close: `onclose` follows.
      }
      if (transfer === undefined) return;
      await room();
      hear({ piece_sent: { peer, transfer } }, []);
    },
    leave() {
      channel.onopen = channel.onclose = channel.onmessage = null;
    },
  };
}
