import type { Input } from "../generated/Input";
import { PIECE_BYTES } from "../generated/limits";
import type { Output } from "../generated/Output";
import { pieces } from "../shared/pieces";
import { SEGMENT_BYTES } from "../shared/storage";
import type { ToPage } from "../shared/thread";
import { ownCopy } from "./copy";
import type { Payloads } from "./payloads";

/** Payloads that may be kept while a copy is read: about four megabytes. */
const KEPT_MOST = 64;

/** Reads the browser's own copy of an asset, without the network, and hands it in by pieces. */
export async function adopt(
  { asset, url, size }: Extract<Output, { adopt: unknown }>["adopt"],
  payloads: Payloads,
  handle: (input: Input) => void,
  say: (message: ToPage, transfer: Transferable[]) => void,
): Promise<void> {
  const hand = async (copy: Blob, first: number) => {
    let piece = first;
    for await (const bytes of pieces(copy.stream())) {
      await payloads.room(KEPT_MOST);
      handle({ adopted: { asset, piece, payload: payloads.keep(bytes) } });
      piece += 1;
    }
  };
  try {
    const whole = await ownCopy(url, null, say);
    if (whole) {
      await hand(whole, 0);
    } else if (size > SEGMENT_BYTES) {
      // A media element loads ranges, and the HTTP cache may have some of them.
      for (let first = 0; first < size; first += SEGMENT_BYTES) {
        const last = Math.min(first + SEGMENT_BYTES, size) - 1;
        const part = await ownCopy(url, `bytes=${first}-${last}`, say);
        if (part) await hand(part, first / PIECE_BYTES);
      }
    }
  } catch {
    // There is no copy, or no longer.
  }
  handle({ adopt_ended: { asset } });
}
