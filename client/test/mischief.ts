// Peers that do not do as they should: their browsers run our client, and this between it and the channel.

/** What a peer makes of each frame with a piece that it is about to send. It runs in the peer's page. */
export type Mischief = (frame: Uint8Array<ArrayBuffer>, send: (frame: Uint8Array<ArrayBuffer>) => void) => void;

/** The first byte of a frame with a piece (`crates/protocol/src/frame.rs`). */
const PIECE_KIND = 4;

/** The script that makes a visitor do that; `globalThis.pieces` counts the pieces that it was to send. */
export function mischievous(mischief: Mischief): string {
  return `{
    const send = RTCDataChannel.prototype.send;
    const mischief = ${mischief};
    globalThis.pieces = 0;
    // The page keeps its channels, as where browsers give a thread none.
    const post = Worker.prototype.postMessage;
    Worker.prototype.postMessage = function (message, transfer) {
      if (message.channel) throw new DOMException("", "DataCloneError");
      post.call(this, message, transfer);
    };
    RTCDataChannel.prototype.send = function (data) {
      const frame = new Uint8Array(data);
      if (frame[0] !== ${PIECE_KIND}) return send.call(this, data);
      globalThis.pieces += 1;
      mischief(frame, (made) => send.call(this, made));
    };
  }`;
}

/** Sends the first pieces, and then nothing more until it is told to by `globalThis.goOn()`. */
export const pausing: Mischief = (frame, send) => {
  const here = globalThis as unknown as { pieces: number; waiting?: (() => void)[]; goOn: () => void };
  if (here.pieces <= 5) return send(frame);
  here.waiting ??= [];
  const { waiting } = here;
  waiting.push(() => send(frame));
  here.goOn = () => {
    here.pieces = Number.NEGATIVE_INFINITY;
    for (const resume of waiting.splice(0)) resume();
  };
};
